// Charts over time on canvas. The library, uPlot, and its rules are fetched with the first of them.

import { loadScript, make } from './dom.js';
import { lastOf, spread } from './past.js';
import { shortCount, timeMark } from './words.js';

const SCRIPT = '/uPlot.iife.min.js';
const STYLE = '/uPlot.min.css';
const SPAN_S = 10; // the shortest stretch of time that is drawn

export async function loadPlots() {
  if (!document.querySelector(`link[href="${STYLE}"]`)) {
    document.head.append(make('link', { rel: 'stylesheet', href: STYLE }));
  }
  await loadScript(SCRIPT);
}

// The colour that a rule gives now: of the theme, and of the ground.
function resolve(colour) {
  const probe = make('span', { hidden: true });
  document.body.append(probe);
  probe.style.color = colour;
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}

// A line in a light colour would not stand out from white: there it has its outline's.
function penOf({ fill, outline }) {
  return resolve(outline ? `light-dark(${outline}, ${fill})` : fill);
}

// What a chart is drawn with; another size or theme needs another chart.
export function brushes() {
  const style = getComputedStyle(document.documentElement);
  return {
    rem: Number.parseFloat(style.fontSize),
    family: getComputedStyle(document.body).fontFamily,
    text: resolve('var(--dim)'),
    grid: resolve('var(--line)'),
    bar: resolve('var(--bar)'),
  };
}

// A total holds from its point to the next; nothing is drawn towards a gap, or out of one.
function steps(plot, series, from, to, stepS) {
  const stroke = new Path2D();
  const [times, values] = [plot.data[0], plot.data[series]];
  for (let i = from; i <= to; i += 1) {
    if (values[i] !== null) {
      const y = plot.valToPos(values[i], 'y', true);
      const x = plot.valToPos(times[i], 'x', true);
      if ((values[i - 1] ?? null) === null || i === from) {
        stroke.moveTo(x, y);
      } else {
        stroke.lineTo(x, y);
      }
      stroke.lineTo(plot.valToPos(times[i] + stepS, 'x', true), y);
    }
  }
  return { stroke, fill: null, clip: null };
}

// A point with nothing on either side has a line too short to be seen: it is drawn as a dot, too.
function lonely(values) {
  return values.flatMap((value, i) => (value !== null && (values[i - 1] ?? null) === null
    && (values[i + 1] ?? null) === null ? [i] : []));
}

// Initials on a ground of their colour at the end of each line, moved apart where they would meet.
function drawEnds(plot, lines, { rem, family }) {
  const { ctx, bbox } = plot;
  const scale = window.devicePixelRatio;
  const height = 1.25 * rem * scale;
  const ends = lines.map((line, i) => ({ line, last: lastOf(plot.data[i + 1]) })).filter(({ last }) => last);
  const places = spread(ends.map(({ last }) => plot.valToPos(last.value, 'y', true)), height * 1.1,
    bbox.top, bbox.top + bbox.height);

  ctx.save();
  ctx.font = `700 ${0.75 * rem * scale}px ${family}`;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'center';
  ends.forEach(({ line }, i) => {
    const left = bbox.left + bbox.width + 0.375 * rem * scale;
    const width = 2.5 * rem * scale;
    ctx.fillStyle = line.colour.fill;
    ctx.fillRect(left, places[i] - height / 2, width, height);
    ctx.lineWidth = scale;
    ctx.strokeStyle = penOf(line.colour);
    ctx.strokeRect(left, places[i] - height / 2, width, height);
    ctx.fillStyle = line.colour.ink;
    ctx.fillText(line.mark, left + width / 2, places[i], width);
  });
  ctx.restore();
}

function axesOf({ rem, family, text, grid }, spaceY) {
  const common = {
    stroke: text,
    font: `${0.75 * rem}px ${family}`,
    grid: { stroke: grid, width: 1 },
    ticks: { show: false },
  };
  return [
    {
      ...common,
      size: 1.75 * rem,
      space: 5 * rem,
      values: (plot, splits, axis, space, step) => splits.map((s) => timeMark(s * 1000, step)),
    },
    {
      ...common,
      size: 3.25 * rem,
      space: spaceY * rem,
      values: (plot, splits) => splits.map((n) => (Number.isInteger(n) ? shortCount(n) : '')),
    },
  ];
}

// 'lines': [{colour, mark}], a mark only where ends are to be labelled; 'onPoint' gets the place of the
// point that is pointed at, or null.
export class Plot {
  constructor(root, lines, brush, onPoint) {
    const { rem } = brush;
    const hasEnds = lines.some((line) => line.mark);
    this.root = root;
    this.stepS = 1;
    this.plot = new window.uPlot({
      ...this.#size(),
      padding: [0.75 * rem, 3.25 * rem, 0, 0], // room for ends, also where there are none: times are above times
      legend: { show: false },
      cursor: {
        y: false, drag: { x: false, y: false }, points: { size: 0.5 * rem }, sync: { key: 'time' },
      },
      scales: {
        x: { range: ({ data }) => this.#range(data?.[0] ?? []) },
        y: { range: (plot, min, max) => [0, max > 0 ? max * 1.05 : 1] },
      },
      axes: axesOf(brush, hasEnds ? 2.5 : 1.25),
      series: [{}, ...lines.map((line) => ({
        stroke: penOf(line.colour),
        width: rem / 8,
        paths: (plot, series, from, to) => steps(plot, series, from, to, this.stepS),
        points: { show: false, size: rem / 3, filter: (plot, series) => lonely(plot.data[series]) },
      }))],
      hooks: {
        draw: hasEnds ? [(plot) => drawEnds(plot, lines, brush)] : [],
        setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)],
      },
    }, [[], ...lines.map(() => [])], root);
    this.watcher = new ResizeObserver(() => this.plot.setSize(this.#size()));
    this.watcher.observe(root);
  }

  // To the end of the last step; by the times themselves, as the library makes years of a single one.
  #range(times) {
    const end = (times.at(-1) ?? 0) + this.stepS;
    return [Math.min(times[0] ?? end, end - SPAN_S), end];
  }

  #size() {
    return { width: this.root.clientWidth, height: this.root.clientHeight };
  }

  // What is drawn: times and the distance between them in ms, and the values of each line.
  set(times, stepMs, values) {
    this.stepS = stepMs / 1000;
    this.plot.setData([times.map((ms) => ms / 1000), ...values]);
  }

  // Point at a place, as the mouse would.
  point(place) {
    this.plot.setCursor({ left: this.plot.valToPos(this.plot.data[0][place], 'x'), top: 0 });
  }

  // Point at nothing.
  leave() {
    this.plot.setCursor({ left: -10, top: -10 });
  }

  get data() {
    return this.plot.data;
  }

  free() {
    this.watcher.disconnect();
    this.plot.destroy();
  }
}
