// Keeps the model current: a websocket that reconnects by itself, and polling where it cannot be had.
// Nothing of the browser is used but what the constructor is given, so tests drive it by hand.

const PROTOCOL = 'votingd.v1';
const OPEN = 1; // of a socket's readyState
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 30000;
const FAILURES_MAX = 3; // then poll
const SILENCE_MS = 15000; // without a frame: poll
const SOCKET_RETRY_MS = 60000; // while polling
const ACK_MS = 1000;
const RESYNC_MS = 2000;
const RESYNC_ANSWER_MS = 5000;
const POLL_LIVE_MS = 2000;

export class Feed {
  // 'world': {origin, socketOrigin, WebSocket, fetch, setTimeout, clearTimeout, now, random, signIn}.
  constructor(world, model, onChange) {
    this.world = world;
    this.model = model;
    this.onChange = onChange;
    this.socket = null;
    this.isOpen = false;
    this.isPolling = false;
    this.failures = 0;
    this.intervalMs = 0; // 0: live
    this.socketSeq = 0; // the picture that the socket brought last; the API may be ahead of it
    this.frameAt = null; // local time of the last frame
    this.serverMs = 0; // the server's clock at that moment
    this.timers = new Map();
    this.ackAt = -Infinity;
    this.resyncAt = -Infinity;
  }

  start() {
    this.#connect();
    this.#watch();
  }

  stop() {
    for (const name of [...this.timers.keys()]) {
      this.#cancel(name);
    }
    this.#drop();
  }

  // The server's clock now, whatever the browser's says.
  serverNow() {
    return this.frameAt === null ? null : this.serverMs + (this.world.now() - this.frameAt);
  }

  // Milliseconds since the last frame; null before the first.
  silence() {
    return this.frameAt === null ? null : this.world.now() - this.frameAt;
  }

  // fresh, late, stale, disconnected; connecting before the first frame.
  freshness() {
    const silence = this.silence();
    if (silence === null) {
      return this.failures === 0 ? 'connecting' : 'disconnected';
    }
    const isConnected = this.isOpen || (this.isPolling && this.pollWorks);
    if (!isConnected || silence >= 30000) {
      return 'disconnected';
    }
    const slack = this.isPolling ? this.intervalMs : 0;
    if (silence - slack >= SILENCE_MS) {
      return 'stale';
    }
    return silence - slack >= 7500 ? 'late' : 'fresh';
  }

  setInterval(ms) {
    this.intervalMs = ms;
    this.#send({ type: 'rate', min_ms: ms });
    if (this.isPolling) {
      this.#later('poll', this.#pollMs(), () => this.#poll());
    }
  }

  // Bring the model up to the newest picture by the API; resolves when that is done or failed.
  async refresh() {
    try {
      await this.#pull();
      return true;
    } catch {
      return false;
    }
  }

  #later(name, ms, work) {
    this.#cancel(name);
    this.timers.set(name, this.world.setTimeout(() => {
      this.timers.delete(name);
      work();
    }, ms));
  }

  #cancel(name) {
    if (this.timers.has(name)) {
      this.world.clearTimeout(this.timers.get(name));
      this.timers.delete(name);
    }
  }

  #send(message) {
    if (this.isOpen && this.socket.readyState === OPEN) { // or it is closing, and does not say so yet
      this.socket.send(JSON.stringify(message));
    }
  }

  #connect() {
    const socket = new this.world.WebSocket(`${this.world.socketOrigin}/ws`, PROTOCOL);
    this.socket = socket;
    socket.onopen = () => {
      this.isOpen = true;
      if (this.intervalMs > 0) {
        this.#send({ type: 'rate', min_ms: this.intervalMs });
      }
      this.onChange();
    };
    socket.onmessage = (event) => {
      if (socket === this.socket) {
        this.#take(event.data);
      }
    };
    socket.onclose = () => {
      if (socket === this.socket) {
        this.#closed();
      }
    };
  }

  // Let go of the socket without waiting for it to close.
  #drop() {
    const { socket } = this;
    this.socket = null;
    this.isOpen = false;
    socket?.close();
  }

  #closed() {
    this.socket = null;
    this.isOpen = false;
    this.failures += 1;
    this.#cancel('resync'); // the next socket begins with a whole picture
    this.#cancel('answer');
    if (this.failures >= FAILURES_MAX) {
      this.#startPolling();
    }
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** (this.failures - 1));
    this.#later('connect', this.isPolling ? SOCKET_RETRY_MS : this.world.random() * ceiling,
      () => this.#connect());
    this.onChange();
  }

  #reconnect() {
    this.#drop();
    this.#closed();
  }

  #take(text) {
    let frame = null;
    try {
      frame = JSON.parse(text);
    } catch {
      this.#reconnect();
      return;
    }
    this.#heard(frame.now_ms);
    if (frame.type === 'bye' && frame.reason === 'signed_out') {
      this.world.signIn();
    }
    if (frame.type === 'bye') {
      this.failures = Math.max(this.failures, 1);
      return;
    }
    const result = this.model.apply(frame);
    if (result === 'restart') {
      this.model.forget();
      this.#reconnect();
      return;
    }
    if (result === 'gap') {
      this.#resync();
    }
    if (frame.type === 'snapshot' || frame.type === 'delta') {
      this.socketSeq = frame.seq;
      this.#current(result);
    }
    this.onChange();
  }

  // The socket brought a picture: all is well again, unless it does not fit.
  #current(result) {
    if (result !== 'gap') {
      this.failures = 0;
      this.#cancel('answer');
      this.#stopPolling();
    }
    if (this.world.now() - this.ackAt >= ACK_MS) {
      this.#ack();
    } else if (!this.timers.has('ack')) {
      this.#later('ack', ACK_MS, () => this.#ack());
    }
  }

  #ack() {
    this.#cancel('ack');
    this.ackAt = this.world.now();
    this.#send({ type: 'ack', seq: this.socketSeq });
  }

  #resync() {
    const wait = this.resyncAt + RESYNC_MS - this.world.now();
    if (wait > 0) {
      if (!this.timers.has('resync')) {
        this.#later('resync', wait, () => this.#resync());
      }
      return;
    }
    this.resyncAt = this.world.now();
    this.#send({ type: 'resync' });
    if (!this.timers.has('answer')) {
      this.#later('answer', RESYNC_ANSWER_MS, () => this.#reconnect());
    }
  }

  #heard(nowMs) {
    this.frameAt = this.world.now();
    this.serverMs = nowMs;
  }

  // Half-open connections never close by themselves.
  #watch() {
    if (this.isOpen && this.silence() !== null && this.silence() >= SILENCE_MS && !this.isPolling) {
      this.#startPolling();
      this.#reconnect();
    }
    this.#later('watch', 1000, () => this.#watch());
  }

  #pollMs() {
    return this.intervalMs > 0 ? this.intervalMs : POLL_LIVE_MS;
  }

  #startPolling() {
    if (!this.isPolling) {
      this.isPolling = true;
      this.pollWorks = false;
      this.#poll();
    }
  }

  #stopPolling() {
    this.isPolling = false;
    this.#cancel('poll');
  }

  async #poll() {
    this.pollWorks = await this.refresh();
    if (this.isPolling) {
      this.#later('poll', this.#pollMs(), () => this.#poll());
    }
    this.onChange();
  }

  async #get(path) {
    const response = await this.world.fetch(`${this.world.origin}/api/v1/${path}`,
      { cache: 'no-store' });
    if (response.status === 401) {
      this.world.signIn();
    }
    if (!response.ok) {
      throw new Error(`${path}: ${response.status}`);
    }
    return response.json();
  }

  async #pull() {
    const version = await this.#get('version');
    if (version.epoch !== this.model.epoch || this.model.seq === 0) {
      const preload = await this.#get('preload');
      this.model.apply({ type: 'hello', epoch: version.epoch, preload });
    }
    for (;;) {
      const frame = this.model.seq === 0
        ? await this.#get('snapshot')
        : await this.#get(`changes?since=${this.model.point()}`);
      const result = this.model.apply(frame);
      if (result === 'restart') {
        throw new Error('the daemon was started anew meanwhile');
      }
      this.#heard(frame.now_ms);
      if (result !== 'applied' || !frame.is_truncated) {
        break;
      }
    }
    this.onChange();
  }
}
