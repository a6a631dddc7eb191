// Socket and API side by side: what each makes of a picture must be the same for the same "seq".

// Runs in a page of the daemon, until window.isEnough: keeps a model by a socket, another by asking for
// changes, and a third anew from each tenth snapshot. Gives how many pictures two of them had, those that
// differ, and what on the wire was no whole number, null or text.
export async function watchSides() {
  const { Model } = await import('/js/model.js');
  const pictures = new Map(); // by point: what the first who had it makes of it
  const points = new Map(); // by model: its last one
  const seen = { socket: 0, same: 0, other: [], odd: [] };
  const say = (model) => JSON.stringify([[...model.tables].map(([name, { rows }]) => [name, rows.map(({ texts, values }) => [texts, values])]).sort(),
    model.about.as_of_ms, model.about.received_ms, model.about.changed_ms, model.about.status]);

  const isWhole = (n) => n === null || (Number.isSafeInteger(n) && n >= 0);
  const check = (frame) => {
    const numbers = [...Object.values(frame.rows ?? {}).flat(2), frame.seq, frame.now_ms, frame.as_of_ms ?? 0,
      frame.received_ms ?? 0, frame.changed_ms ?? 0];
    seen.odd.push(...numbers.filter((n) => !isWhole(n)));
  };
  const note = (model, frame) => {
    check(frame);
    if (model.apply(frame) !== 'applied' || frame.type === 'hello' || points.get(model) === model.point()) {
      return;
    }
    const [point, text] = [model.point(), say(model)];
    points.set(model, point);
    const held = pictures.get(point);
    if (held === undefined) {
      pictures.set(point, text);
    } else if (held === text) {
      seen.same += 1;
    } else {
      seen.other.push(point);
    }
  };
  const get = async (path) => (await fetch(`/api/v1/${path}`, { cache: 'no-store' })).json();
  const fresh = async () => {
    const model = new Model();
    const { epoch } = await get('version');
    model.apply({ type: 'hello', epoch, preload: await get('preload') });
    note(model, await get('snapshot'));
    return model;
  };

  const live = new Model();
  const socket = new WebSocket(`${window.location.origin.replace('http', 'ws')}/ws`, 'votingd.v1');
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    note(live, frame);
    if (frame.type === 'snapshot' || frame.type === 'delta') {
      seen.socket += 1;
      socket.send(JSON.stringify({ type: 'ack', seq: frame.seq }));
    }
  };
  const polled = await fresh();
  for (let i = 1; !window.isEnough; i += 1) {
    note(polled, await get(`changes?since=${polled.point()}`));
    if (i % 10 === 0) {
      await fresh();
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
  socket.close();
  return { ...seen, odd: seen.odd.slice(0, 10) };
}
