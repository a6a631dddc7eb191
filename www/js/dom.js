// A few verbs on the document. Texts are only ever set as text; widths go through the object model,
// which the content policy allows where a style attribute is refused.

import { words } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';

export function byId(id) {
  return document.getElementById(id);
}

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) {
      node.setAttribute(name, value === true ? '' : value);
    }
  }
  node.append(...children);
  return node;
}

export function makeSvg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  setAttributes(node, attributes);
  node.append(...children);
  return node;
}

export function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (node.getAttribute(name) !== String(value)) {
      node.setAttribute(name, value);
    }
  }
}

export function setText(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

const MARK_MS = 2000;
const marked = new Map(); // cells that carry the mark, and until when
let sweeper = null;

function sweep() {
  const now = performance.now();
  for (const [cell, until] of marked) {
    if (until <= now) {
      cell.classList.remove('is-changed');
      marked.delete(cell);
    }
  }
  sweeper = marked.size > 0 ? window.setTimeout(sweep, MARK_MS / 4) : null;
}

// As setText; a cell that said something else before carries a mark for 2 s.
export function setCell(cell, text) {
  const isChange = cell.textContent !== '' && cell.textContent !== text;
  setText(cell, text);
  if (isChange) {
    cell.classList.add('is-changed');
    marked.set(cell, performance.now() + MARK_MS);
    sweeper ??= window.setTimeout(sweep, MARK_MS);
  }
}

// Part of its track that a bar fills, 0 to 1.
export function setFill(node, part) {
  const width = `${(Math.max(0, Math.min(1, part)) * 100).toFixed(2)}%`;
  if (node.style.width !== width) {
    node.style.width = width;
  }
}

export function setColour(node, colour) {
  node.style.setProperty('--fill', colour.fill);
  node.style.setProperty('--ink', colour.ink);
  node.style.setProperty('--outline', colour.outline ?? 'transparent');
}

// Make the children of 'parent' those of 'items', one for each key: 'create(item)' makes what is new,
// 'update(node, item, place)' fills it in. Nodes are kept, so focus and selection are.
export function keep(parent, items, keyOf, create, update) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const held = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, place) => {
    const key = String(keyOf(item));
    let node = held.get(key);
    if (node === undefined) {
      node = create(item);
      node.dataset.key = key;
    }
    held.delete(key);
    if (parent.children[place] !== node) {
      parent.insertBefore(node, parent.children[place] ?? null);
    }
    update(node, item, place);
  });
  held.forEach((node) => node.remove());
  if (focused !== document.activeElement) {
    focused?.focus({ preventScroll: true }); // it had to move
  }
}

const scripts = new Map();

// A script that is no module, fetched once; what it defines is global.
export function loadScript(src) {
  if (!scripts.has(src)) {
    scripts.set(src, new Promise((resolve, reject) => {
      const script = make('script', { src });
      script.addEventListener('load', resolve);
      script.addEventListener('error', () => {
        scripts.delete(src); // the next one tries again
        script.remove();
        reject(new Error(`could not load ${src}`));
      });
      document.head.append(script);
    }));
  }
  return scripts.get(src);
}

// The catalogue's word at a path: "results.votes".
function wordAt(path) {
  const word = path.split('.').reduce((found, name) => found?.[name], words);
  if (typeof word !== 'string') {
    throw new Error(`no word "${path}" in words.js`);
  }
  return word;
}

// Markup names its words: data-word becomes an element's text, data-label its aria-label.
export function translate(root) {
  for (const node of root.querySelectorAll('[data-word]')) {
    setText(node, wordAt(node.dataset.word));
  }
  for (const node of root.querySelectorAll('[data-label]')) {
    node.setAttribute('aria-label', wordAt(node.dataset.label));
  }
}

// Fill 'root' with markup: a constant of the module that brings it, never anything that was received.
export function fill(root, markup) {
  root.innerHTML = markup;
  translate(root);
}
