// The map of the states of the USA: fetched when it is first asked for, with its shapes.

import {
  keep, loadScript, makeSvg, setAttributes, setColour, setText,
} from './dom.js';
import { describe, markOf } from './cells.js';

const LIBRARY = '/topojson-client.min.js';
const SHAPES = '/states-albers-10m.json';
const SIZE = { width: 975, height: 610 };
const MARK = { width: 34, height: 22 }; // a shape at least this large has its mark on it

let loading = null;

const ringPath = (ring) => `M${ring.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L')}Z`;

// Area, middle and extent of a ring; the area's middle lies on land where that of the extent does not.
function boxOf(ring) {
  const [xs, ys] = [ring.map(([x]) => x), ring.map(([, y]) => y)];
  const sum = { area: 0, x: 0, y: 0 };
  for (let i = 1; i < ring.length; i += 1) {
    const [[x0, y0], [x1, y1]] = [ring[i - 1], ring[i]];
    const cross = x0 * y1 - x1 * y0;
    sum.area += cross;
    sum.x += (x0 + x1) * cross;
    sum.y += (y0 + y1) * cross;
  }
  return {
    area: Math.abs(sum.area / 2),
    x: sum.x / (3 * sum.area),
    y: sum.y / (3 * sum.area),
    width: Math.max(...xs) - Math.min(...xs),
    height: Math.max(...ys) - Math.min(...ys),
  };
}

function shapeOf({ properties, geometry }) {
  const polygons = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates;
  const boxes = polygons.map(([outer]) => boxOf(outer));
  const box = boxes.reduce((largest, one) => (one.area > largest.area ? one : largest));
  return {
    name: properties.name,
    path: polygons.flat().map(ringPath).join(''),
    hasMark: box.width >= MARK.width && box.height >= MARK.height,
    x: box.x,
    y: box.y,
  };
}

async function load() {
  const [, response] = await Promise.all([loadScript(LIBRARY), fetch(SHAPES)]);
  if (!response.ok) {
    throw new Error(`${SHAPES}: ${response.status}`);
  }
  const topology = await response.json();
  return window.topojson.feature(topology, topology.objects.states).features.map(shapeOf);
}

// The shapes {name, path, hasMark, x, y}; a failure is forgotten, so that the next call tries again.
export function shapes() {
  loading ??= load().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

// An empty map; onChoose(name). The list beside it says the same, so readers of screens pass it by.
export function createMap(onChoose) {
  const svg = makeSvg('svg', {
    class: 'map', viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, 'aria-hidden': 'true',
  }, makeSvg('defs', {}, makeSvg('pattern', {
    id: 'map-hatch', width: 7, height: 7, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)',
  }, makeSvg('rect', { class: 'map-ground', width: 7, height: 7 }), makeSvg('rect', { class: 'map-hatch', width: 2, height: 7 }))),
  makeSvg('g'), makeSvg('g', { class: 'map-marks' }));
  svg.addEventListener('click', ({ target }) => {
    const name = target.closest('[data-name]')?.dataset.name;
    if (name !== undefined) {
      onChoose(name);
    }
  });
  return svg;
}

// Paints 'units' on the map; gives the names of those that have no shape.
export function drawMap(svg, list, units, { chosen, palette }) {
  const byName = new Map(units.map((unit) => [unit.name, unit]));
  const [, ground, marks] = svg.children;
  const drawn = [...list].sort((a, b) => (a.name === chosen) - (b.name === chosen)); // outlined on top
  keep(ground, drawn, (shape) => shape.name,
    () => makeSvg('path', {}, makeSvg('title')),
    (node, shape) => {
      const unit = byName.get(shape.name);
      const strength = unit?.strength ?? 0;
      node.dataset.strength = strength;
      if (unit) {
        node.dataset.name = shape.name;
        setColour(node, palette.ofUnit(unit));
      }
      node.classList.toggle('is-chosen', shape.name === chosen);
      setAttributes(node, { d: shape.path, fill: strength === 0 ? 'url(#map-hatch)' : 'currentcolor' });
      setText(node.firstChild, unit ? describe(unit) : shape.name);
    });
  keep(marks, list.filter(({ name, hasMark }) => hasMark && byName.has(name)), (shape) => shape.name,
    (shape) => makeSvg('text', { x: shape.x.toFixed(1), y: shape.y.toFixed(1) }),
    (node, shape) => {
      const unit = byName.get(shape.name);
      node.dataset.strength = unit.strength;
      setColour(node, palette.ofUnit(unit));
      setText(node, markOf(unit));
    });
  const known = new Set(list.map(({ name }) => name));
  return units.map(({ name }) => name).filter((name) => !known.has(name));
}
