// What a reader chooses once and finds again: the pace, a pause, the theme, the size. Kept where the
// browser allows it.

import { byId, make, setText } from './dom.js';
import { words } from './words.js';

const STEPS = 12; // of 5 s each; none is live
const THEMES = ['system', 'light', 'dark'];
const SIZES = ['standard', 'projector'];

function remembered(name) {
  try {
    return window.localStorage.getItem(name);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    window.localStorage.setItem(name, value);
  } catch {
    // Not allowed here: it is forgotten with the page.
  }
}

// A choice that style sheets know as an attribute of the root; early.js sets it before the first paint.
function bindChoice(name, choices, titles) {
  const select = byId(name);
  const root = document.documentElement;
  select.append(...choices.map((one) => make('option', { value: one }, titles[one])));
  select.value = choices.includes(root.dataset[name]) ? root.dataset[name] : choices[0];
  select.addEventListener('change', () => {
    root.dataset[name] = select.value;
    remember(name, select.value);
  });
}

// The menu closes by Escape, and when the focus leaves it.
export function bindMenu(menu) {
  menu.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && menu.open) {
      menu.open = false;
      menu.querySelector('summary').focus();
    }
  });
  document.addEventListener('click', (event) => {
    if (!menu.contains(event.target)) {
      menu.open = false;
    }
  });
  menu.addEventListener('focusout', (event) => {
    if (event.relatedTarget !== null && !menu.contains(event.relatedTarget)) {
      menu.open = false;
    }
  });
}

export class Display {
  // 'onPace' is called when the pace has changed, or a pause began or ended.
  constructor(onPace) {
    this.isPaused = remembered('paused') === 'yes';
    this.#bindInterval(onPace);
    this.#bindPause(onPace);
    bindChoice('theme', THEMES, words.themes);
    bindChoice('size', SIZES, words.sizes);
    bindMenu(byId('display'));
  }

  #bindInterval(onPace) {
    const slider = byId('interval');
    const read = () => {
      const step = Number(slider.value);
      const text = step === 0 ? words.refreshLive : words.refreshEvery(step * 5);
      setText(byId('interval-text'), text);
      slider.setAttribute('aria-valuetext', text);
      this.ms = step * 5000;
    };
    const step = Number(remembered('interval'));
    slider.value = String(Number.isInteger(step) && step >= 0 && step <= STEPS ? step : 0);
    read();
    slider.addEventListener('input', read);
    slider.addEventListener('change', () => {
      read();
      remember('interval', slider.value);
      onPace();
    });
  }

  #bindPause(onPace) {
    const button = byId('pause');
    const say = () => setText(button, this.isPaused ? words.page.resume : words.page.pause);
    say();
    button.addEventListener('click', () => {
      this.isPaused = !this.isPaused;
      remember('paused', this.isPaused ? 'yes' : 'no');
      say();
      onPace();
    });
  }
}
