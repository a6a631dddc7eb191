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
    const query = params.toString();
    return `#/${this.id}${query === '' ? '' : `?${query}`}`;
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
