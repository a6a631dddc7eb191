// Avatars, bars and the ring: our own SVG and boxes, still, with words on every mark.

import { keep, make, makeSvg, setAttributes, setColour, setFill, setText } from './dom.js';
import { initials } from './palette.js';

// A round portrait drawn from initials and party colour: same candidate, same picture. A photo comes
// over it once it has arrived; where it does not, the initials stay.
export function avatar(className) {
  const photo = make('img', { class: 'avatar-photo', hidden: true });
  photo.addEventListener('load', () => {
    photo.hidden = false;
  });
  return make('span', { class: className },
    makeSvg('svg', { viewBox: '0 0 64 64', 'aria-hidden': 'true' },
      makeSvg('circle', { cx: 32, cy: 32, r: 31, class: 'avatar-ground' }),
      makeSvg('circle', { cx: 32, cy: 32, r: 27.5, class: 'avatar-ring' }),
      makeSvg('text', {
        x: 32, y: 33, 'text-anchor': 'middle', 'dominant-baseline': 'central', class: 'avatar-text',
      })),
    photo);
}

// 'photo': its address, if there is one.
export function setAvatar(node, { name, photo = null }, colour) {
  const [drawn, image] = node.children;
  setColour(node, colour);
  setText(drawn.lastChild, initials(name));
  image.alt = initials(name);
  if (image.getAttribute('src') !== photo) {
    image.hidden = true;
    if (photo === null) {
      image.removeAttribute('src');
    } else {
      image.src = photo;
    }
  }
}

// Rows of label, bar and number. 'items': {key, label, mark, part, value, note, colour}; 'part' is
// what the bar fills, 0 to 1, or null where there is none.
export function drawBars(list, items) {
  keep(list, items, (item) => item.key, createBar, (node, item) => {
    const [label, track, value, note] = node.children;
    setText(label.firstChild, item.label);
    label.title = item.label;
    setText(value, item.value);
    setText(note, item.note);
    track.classList.toggle('is-none', item.part === null);
    setFill(track.firstChild, item.part ?? 0);
    if (item.colour) {
      setColour(node, item.colour);
    }
  });
}

function createBar() {
  return make('li', { class: 'bar' },
    make('span', { class: 'bar-label', dir: 'auto' }, ''),
    make('span', { class: 'bar-track', 'aria-hidden': 'true' }, make('span', { class: 'bar-fill' })),
    make('span', { class: 'bar-value' }),
    make('span', { class: 'bar-note' }));
}

// Narrow columns, side by side, for many numbers in their order; {key, label, part, value, note} as
// bars have them. The scale names every tenth, the first if there is room, and what is no number; 'title'
// is what they all are.
export function drawColumns(root, items, title) {
  const top = items.reduce((most, item) => (item.part > most.part ? item : most), items[0]);
  root.setAttribute('role', 'img');
  root.setAttribute('aria-label', `${title}: ${items[0].label} – ${items.at(-1).label}; ${top.label}: ${top.value}`);
  keep(root, items, (item) => item.key, () => make('span', { class: 'column' },
    make('span', { class: 'column-track' }, make('span', { class: 'column-fill' })),
    make('span', { class: 'column-label' })),
  (node, item, place) => {
    const [track, label] = node.children;
    const isNamed = !/^\d+$/.test(item.label) || Number(item.label) % 10 === 0
      || (place === 0 && Number(item.label) % 10 <= 5);
    const height = `${(item.part * 100).toFixed(2)}%`;
    node.title = `${item.label}: ${item.value} (${item.note})`;
    if (track.firstChild.style.height !== height) {
      track.firstChild.style.height = height;
    }
    if (item.colour) {
      setColour(node, item.colour);
    }
    setText(label, isNamed ? item.label : '');
  });
}

const RADIUS = 78;
const WIDTH = 34;

function at(part) {
  const angle = part * 2 * Math.PI - Math.PI / 2;
  return `${(100 + RADIUS * Math.cos(angle)).toFixed(3)} ${(100 + RADIUS * Math.sin(angle)).toFixed(3)}`;
}

// The arc from part 'from' to 'to' of the ring; a whole ring needs two halves.
function arc(from, to) {
  if (to - from >= 0.9999) {
    return `M ${at(0)} A ${RADIUS} ${RADIUS} 0 1 1 ${at(0.5)} A ${RADIUS} ${RADIUS} 0 1 1 ${at(1)}`;
  }
  const isLarge = to - from > 0.5 ? 1 : 0;
  return `M ${at(from)} A ${RADIUS} ${RADIUS} 0 ${isLarge} 1 ${at(to)}`;
}

const GAP = 0.0035; // between two slices, in parts of the ring

// A ring of at most six slices ({key, mark, part, share, label, colour}).
export function drawRing(group, slices) {
  let from = 0;
  const arcs = slices.filter((slice) => slice.part > 0).map((slice) => {
    const placed = { ...slice, from, to: from + slice.part };
    from = placed.to;
    return placed;
  });
  keep(group, arcs, (slice) => slice.key, createSlice, (node, slice) => {
    const [path, mark] = node.children;
    const middle = ((slice.from + slice.to) / 2) * 2 * Math.PI - Math.PI / 2;
    setColour(node, slice.colour);
    const gap = arcs.length > 1 ? Math.min(GAP, slice.part / 4) : 0;
    setAttributes(path, { d: arc(slice.from + gap / 2, slice.to - gap / 2), 'stroke-width': WIDTH });
    setAttributes(mark, {
      x: (100 + RADIUS * Math.cos(middle)).toFixed(2),
      y: (100 + RADIUS * Math.sin(middle)).toFixed(2),
    });
    setText(mark, slice.part >= 0.05 ? slice.mark : '');
  });
}

function createSlice() {
  return makeSvg('g', { class: 'slice' },
    makeSvg('path', { fill: 'none' }),
    makeSvg('text', { 'text-anchor': 'middle', 'dominant-baseline': 'central' }));
}

// One line, divided among the candidates.
export function drawStrip(strip, items) {
  keep(strip, items.filter((item) => item.part > 0), (item) => item.key,
    () => make('span', { class: 'strip-part' }),
    (node, item) => {
      setColour(node, item.colour);
      setFill(node, item.part);
      setText(node, item.part >= 0.12 ? item.label : '');
    });
}
