// The past, moment by moment: which one is shown, when the next is due, and what is asked for. One
// request at a time, made ahead of time; what could not come in time is left out. Nothing of the browser
// is used but what the constructor is given, so tests drive it by hand.

export const SPEEDS = [1, 10, 60, 300, 1000];

const FRAME_MS = 250; // at most four pictures a second
const SECOND_MS = 1000; // moments are whole seconds
const RETRY_MS = 2000;

export class Player {
  // 'world': {get, setTimeout, clearTimeout, now}. onShow(answer, at) shows the picture that was due at
  // the moment 'at'; onChange() tells of all else that is to be seen.
  constructor(world, onShow, onChange) {
    this.world = world;
    this.onShow = onShow;
    this.onChange = onChange;
    this.speed = 60;
    this.from = 0;
    this.to = 0;
    this.stop();
  }

  // Forget everything; what is still under way comes to nothing.
  stop() {
    this.#cancel();
    this.clock = null; // of somebody else; see follow()
    this.isPlaying = false;
    this.isHeld = true;
    this.hasFailed = false;
    this.run = (this.run ?? 0) + 1; // answers of an earlier one are no longer wanted
    this.at = null; // the moment that is shown, or was asked for
    this.base = null; // {at, since}: the moment at a time of the world
    this.sought = null; // the moment that is to be shown next, whether played or not
    this.known = 0; // until when the picture that is shown is right
    this.shownAt = -Infinity;
    this.latency = 0;
  }

  // The moments that there are.
  setRange(from, to) {
    this.from = from;
    this.to = Math.max(from, to);
  }

  // The moment that is due now.
  position() {
    if (this.clock !== null) {
      return Math.min(this.to, this.clock());
    }
    const { at, since } = this.base;
    return this.#isRunning() ? Math.min(this.to, at + (this.world.now() - since) * this.speed) : at;
  }

  // Show this moment as soon as can be, and play on from there.
  seek(at) {
    this.run += 1;
    this.#cancel();
    this.at = toSecond(Math.max(0, at));
    this.sought = this.at;
    this.#rebase(this.at);
    this.#next();
    this.onChange();
  }

  // Go by 'clock()', which gives the moment that is due, whether this page keeps up or not.
  follow(clock, isPlaying, speed) {
    this.clock = clock;
    this.isPlaying = isPlaying;
    this.speed = speed;
    this.seek(clock());
  }

  // Go by its own clock again, and stand still.
  release() {
    this.clock = null;
    this.isPlaying = false;
  }

  // At the end, from the beginning on.
  play() {
    this.isPlaying = true;
    if (this.at >= toSecond(this.to)) {
      this.seek(this.from);
      return;
    }
    this.#rebase(this.at);
    this.#next();
    this.onChange();
  }

  // What is shown stays.
  pause() {
    this.isPlaying = false;
    this.#cancel();
    this.#rebase(this.at);
    this.#next(); // what was sought is still to come
    this.onChange();
  }

  setSpeed(speed) {
    const at = this.position();
    this.speed = speed;
    this.run += 1;
    this.#cancel();
    this.#rebase(at);
    this.#next();
  }

  // Held, as at the start, time stands still and nothing is asked for.
  hold(isHeld) {
    if (isHeld === this.isHeld) {
      return;
    }
    const at = this.base === null ? null : this.position();
    this.isHeld = isHeld;
    this.#cancel();
    this.#rebase(at);
    this.#next();
  }

  #isRunning() {
    return this.isPlaying && !this.isHeld && this.sought === null;
  }

  #rebase(at) {
    this.base = { at, since: this.world.now() };
  }

  #later(ms, work) {
    this.#cancel();
    this.timer = this.world.setTimeout(() => {
      this.timer = null;
      work();
    }, ms);
  }

  #cancel() {
    if (this.timer !== null && this.timer !== undefined) {
      this.world.clearTimeout(this.timer);
    }
    this.timer = null;
  }

  // Ask for what is to be shown next, if anything is.
  #next() {
    if (this.isAsking || this.isHeld || this.at === null || this.timer !== null) {
      return;
    }
    if (this.sought !== null) {
      this.#ask(this.sought);
    } else if (this.isPlaying) {
      const ahead = Math.max(SECOND_MS, this.speed * Math.max(FRAME_MS, this.latency));
      this.#ask(Math.min(toSecond(this.to), Math.max(toSecond(this.position() + ahead), this.known + 1)));
    }
  }

  async #ask(at) {
    const { run } = this;
    const begin = this.world.now();
    let answer = null;
    this.isAsking = true;
    try {
      answer = await this.world.get(`snapshot?as_of_ms=${at}`);
    } catch {
      // told below
    }
    this.isAsking = false;
    if (run !== this.run || this.isHeld) {
      this.#next(); // another moment is wanted by now
    } else if (answer === null) {
      this.#fail(at);
    } else {
      this.latency = this.world.now() - begin;
      this.#await(answer, at);
    }
  }

  // Time stands still until it works again.
  #fail(at) {
    this.hasFailed = true;
    if (this.isPlaying) {
      this.sought = at;
    }
    this.#rebase(at);
    this.#later(RETRY_MS, () => this.#next());
    this.onChange();
  }

  // Show it when it is due.
  #await(answer, at) {
    const isSought = this.sought !== null;
    if (!isSought && !this.isPlaying) {
      return; // paused meanwhile
    }
    const due = isSought ? 0 : (at - this.position()) / this.speed;
    this.#later(Math.max(0, due, this.shownAt + FRAME_MS - this.world.now()), () => {
      this.at = at;
      if (isSought || at >= toSecond(this.to)) {
        this.isPlaying = this.isPlaying && at < toSecond(this.to);
        this.sought = null;
        this.#rebase(at);
      }
      this.known = answer.as_of_ms;
      this.hasFailed = false;
      this.shownAt = this.world.now();
      this.onShow(answer, at);
      this.#next();
    });
  }
}

function toSecond(ms) {
  return Math.floor(ms / SECOND_MS) * SECOND_MS;
}
