// The sign-in page: a name and a password, or a token, for a session.

import { byId, setText, translate } from './dom.js';
import { words } from './words.js';

const BUSY_TRIES = 5; // others sign in at the same moment
const BUSY_MS = 1000;

translate(document.body);
document.title = words.login.go;

let isToken = true;

// To the view that was asked for: the redirect has kept its address behind the #.
function enter() {
  window.location.replace(`/${window.location.hash}`);
}

function complain(text) {
  setText(byId('error'), text);
  for (const id of ['name', 'secret']) {
    byId(id).setAttribute('aria-invalid', String(text !== ''));
  }
}

// Which fields there are is the server's choice.
function show(state) {
  isToken = state.access === 'token';
  byId('name-field').hidden = isToken;
  setText(byId('hint'), isToken ? words.login.hintToken : words.login.hintUsers);
  setText(byId('secret-label'), isToken ? words.login.token : words.login.password);
  byId(isToken ? 'secret' : 'name').focus();
}

async function ask(tries) {
  const secret = byId('secret').value;
  const response = await fetch('/api/v1/session', {
    method: 'POST',
    cache: 'no-store',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(isToken
      ? { token: secret } : { name: byId('name').value.trim(), password: secret }),
  });
  if (response.status !== 503 || tries <= 1) {
    return response;
  }
  await new Promise((resolve) => {
    window.setTimeout(resolve, BUSY_MS);
  });
  return ask(tries - 1);
}

function refusal(response) {
  if (response.status === 429) {
    return words.login.wait(Number(response.headers.get('Retry-After')) || 30);
  }
  if (response.status === 401 || response.status === 400) {
    return isToken ? words.login.wrongToken : words.login.wrong;
  }
  return words.login.failed;
}

async function signIn() {
  const go = byId('go');

  complain('');
  go.disabled = true;
  setText(go, words.login.going);
  try {
    const response = await ask(BUSY_TRIES);
    if (response.ok) {
      enter();
      return;
    }
    complain(refusal(response));
  } catch {
    complain(words.login.unreachable);
  }
  go.disabled = false;
  setText(go, words.login.go);
  byId('secret').select();
}

byId('login').addEventListener('submit', (event) => {
  event.preventDefault();
  signIn();
});

try {
  const state = await (await fetch('/api/v1/session', { cache: 'no-store' })).json();
  if (state.role === 'anyone') {
    show(state);
  } else {
    enter();
  }
} catch {
  complain(words.login.unreachable);
}
