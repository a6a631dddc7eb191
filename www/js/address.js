// The address carries the view and its settings: "#/places?sort=votes&page=2". The same address gives
// the same view, the way back leads to the view before.

// The name of the view, or '' where none is given.
export function viewOf(hash) {
  return hash.startsWith('#/') ? hash.slice(2).split('?')[0] : '';
}

function paramsOf(hash) {
  const query = hash.indexOf('?');
  return new URLSearchParams(query < 0 ? '' : hash.slice(query + 1));
}

// '#/ID?NAME=VALUE', times in it readable.
function hashOf(id, params) {
  const query = params.toString().replaceAll('%3A', ':');
  return `#/${id}${query === '' ? '' : `?${query}`}`;
}

// The moment of the past that the address asks for ("at=2026-11-03T02:27Z"), in ms; null: the newest
// picture. It is of UTC, so that a link means the same moment to everybody.
export function momentOf(hash) {
  const text = paramsOf(hash).get('at') ?? '';
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z?$/.test(text) ? Date.parse(text.replace(/Z?$/, 'Z')) : NaN;
  return ms >= 0 ? ms : null;
}

// The address of a view at a moment, or with null of the newest picture; all else as it is in 'hash'.
export function withMoment(hash, ms) {
  const params = paramsOf(hash);
  params.delete('at');
  if (ms !== null) {
    params.set('at', `${new Date(ms).toISOString().slice(0, 19).replace(/:00$/, '')}Z`);
  }
  return hashOf(viewOf(hash), params);
}

// What a view reads and changes of its address. 'onChange' is called after each of its own changes.
export class Settings {
  constructor(id, onChange) {
    this.id = id;
    this.onChange = onChange;
  }

  // Those of one of several parts of the view that have the same settings: "age.sort=votes".
  of(part) {
    return new Part(this, part);
  }

  // As given, or null: whether it is a value that can be used is for the view to say.
  get(name) {
    return viewOf(window.location.hash) === this.id ? paramsOf(window.location.hash).get(name) : null;
  }

  // The one of 'allowed' that is given, or else 'otherwise'.
  choice(name, allowed, otherwise) {
    const given = this.get(name);
    return allowed.includes(given) ? given : otherwise;
  }

  // Change some ({name: value}, null takes one out) in place: no step of its own on the way back.
  set(change) {
    window.history.replaceState(null, '', this.link(change));
    this.onChange();
  }

  // The address with some changed, for a link: following it is a step.
  link(change) {
    const params = paramsOf(viewOf(window.location.hash) === this.id ? window.location.hash : '');
    for (const [name, value] of Object.entries(change)) {
      if (value === null) {
        params.delete(name);
      } else {
        params.set(name, value);
      }
    }
    return hashOf(this.id, params);
  }
}

class Part {
  constructor(settings, part) {
    this.settings = settings;
    this.part = part;
  }

  get(name) {
    return this.settings.get(`${this.part}.${name}`);
  }

  choice(name, allowed, otherwise) {
    return this.settings.choice(`${this.part}.${name}`, allowed, otherwise);
  }

  set(change) {
    this.settings.set(Object.fromEntries(
      Object.entries(change).map(([name, value]) => [`${this.part}.${name}`, value]),
    ));
  }
}
