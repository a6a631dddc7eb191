// Who is signed in, and what he may do here: a menu that is there only with access control.

import { bindMenu } from './display.js';
import { byId, fill, make, setText } from './dom.js';
import { words } from './words.js';

const DIALOG = `
<h2 data-word="account.drainTitle"></h2>
<p data-word="account.drainText"></p>
<p class="dialog-buttons">
  <button type="button" class="button" data-word="account.cancel" id="drain-no"></button>
  <button type="button" class="button" data-word="account.drainYes" id="drain-yes"></button>
</p>`;

export function signIn() {
  window.location.replace(`/login${window.location.hash}`);
}

async function session() {
  const response = await fetch('/api/v1/session', { cache: 'no-store' });
  return response.json();
}

// With the token of now: whoever signed in anew in another tab has another one.
export async function send(method, path, body) {
  const state = await session();
  const headers = { 'X-CSRF-Token': state.csrf_token };
  if (body !== undefined) {
    headers['Content-Type'] = 'application/json';
  }
  const response = await fetch(`/api/v1/${path}`, {
    method, cache: 'no-store', headers, body: JSON.stringify(body),
  });
  if (response.status === 401) {
    signIn(); // signed out elsewhere
  }
  if (!response.ok) {
    throw new Error(`${path}: ${response.status}`);
  }
}

function button(text, onClick) {
  const made = make('button', { type: 'button', class: 'button' }, text);
  made.addEventListener('click', onClick);
  return made;
}

// Asks first: a node that is drained is gone until it is started again.
function drainButton(say, comeBack) {
  const dialog = make('dialog', { class: 'card', 'aria-label': words.account.drainTitle });

  fill(dialog, DIALOG);
  document.body.append(dialog);
  dialog.addEventListener('close', comeBack);
  byId('drain-no').addEventListener('click', () => dialog.close());
  byId('drain-yes').addEventListener('click', async () => {
    dialog.close();
    try {
      await send('POST', 'drain');
      say(words.account.draining);
    } catch {
      say(words.account.failed);
    }
  });
  return button(words.account.drain, () => dialog.showModal());
}

// Add the menu to 'tools' if anybody is signed in. True if he may act.
export async function addAccount(tools) {
  const state = await session();
  const mayAct = state.actions && state.role !== 'viewer';

  if (state.csrf_token === null) {
    return false;
  }
  const said = make('p', { class: 'account-said', role: 'status' }); // seen when the menu is closed
  const summary = make('summary', { class: 'button' }, make('span', { class: 'account-name' }, state.name));
  const menu = make('details', { class: 'menu', id: 'account' }, summary);
  const say = (text) => {
    menu.open = false;
    setText(said, text);
  };
  const panel = make('div', { class: 'menu-panel account-panel' },
    make('p', {}, words.account.role(words.account.roles[state.role])),
    button(words.account.signOut, async () => {
      try {
        await send('DELETE', 'session');
        signIn();
      } catch {
        say(words.account.failed);
        summary.focus();
      }
    }));

  if (mayAct) {
    panel.append(drainButton(say, () => summary.focus())); // what opened the dialog is hidden by then
  }
  menu.append(panel);
  menu.addEventListener('toggle', () => menu.open && setText(said, ''));
  bindMenu(menu);
  tools.append(make('div', { class: 'account' }, menu, said));
  return mayAct;
}
