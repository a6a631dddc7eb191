// A few verbs on the document. Texts are only ever set as text; widths go through the object model,
// which the content policy allows where a style attribute is refused.

import { NONE, words } from './words.js';

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

// As a spreadsheet takes it: names may hold line ends, and must not begin a formula.
function cellText(value) {
  const text = String(value === NONE ? '' : value ?? '').replace(/[\u2066-\u2069]/g, '').replace(/\s+/g, ' ').trim();
  return typeof value === 'string' && /^[=+\-@]/.test(text) ? `'${text}` : text;
}

// Where a page may not write to the clipboard (plain http but for loopback), what is selected is copied.
function copySelected(text) {
  const focused = document.activeElement;
  const area = make('textarea', { class: 'copy-area', readonly: true });
  area.value = text;
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand('copy');
  area.remove();
  focused?.focus({ preventScroll: true });
  return isCopied;
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

const SAID_MS = 4000;

// A button that copies a table, with the word that it has. 'linesOf' gives its lines, the head first, of
// numbers and texts; 'title' is the id of the table's title.
export function copyButton(linesOf, title) {
  const said = make('span', { class: 'copied', role: 'status' });
  const button = make('button', { type: 'button', class: 'button', 'aria-describedby': title }, words.copy.copy);
  let timer = null;
  button.addEventListener('click', async () => {
    const lines = linesOf().map((cells) => cells.map(cellText).join('\t'));
    const isCopied = await copyText(`${lines.join('\n')}\n`);
    setText(said, isCopied ? words.copy.copied : words.copy.refused);
    window.clearTimeout(timer);
    timer = window.setTimeout(() => setText(said, ''), SAID_MS);
  });
  return make('span', { class: 'copy' }, said, button);
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
