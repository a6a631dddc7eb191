// What changed lately, unit by unit: the difference of the pictures that were seen, none left out.

const CHANGES_MAX = 200;
const MERGE_MS = 5000; // a unit's change goes on for this long before it is another one

// Who leads by how many votes; null without votes or in a tie.
function leadOf({ leader, list }) {
  return leader === null ? null : { id: leader.id, name: leader.name, by: leader.votes - (list[1]?.votes ?? 0) };
}

const isSame = (a, b) => a?.id === b?.id && a?.by === b?.by;

// 'list', the newest first: {key, name, at, since, votes, from, to}: 'votes' more between 'since' and 'at',
// 'from' and 'to' the lead before and after; 'isLed' where it can be said who leads. 'earlier' are the votes of changes that are not kept.
export class Changes {
  constructor() {
    this.forget(null);
  }

  forget(epoch) {
    this.epoch = epoch;
    this.seen = null;
    this.list = [];
    this.earlier = 0;
    this.made = 0;
  }

  // Takes in the units of a picture of 'epoch' that is shown at 'now' in milliseconds.
  take(epoch, units, now) {
    if (epoch !== this.epoch) {
      this.forget(epoch);
    }
    const { seen } = this;
    this.seen = new Map(units.map((unit) => [unit.name,
      { votes: unit.votes, lead: leadOf(unit), isLed: unit.leader !== null || unit.isTied }]));
    if (seen === null) {
      return;
    }
    for (const [name, { votes, lead, isLed }] of this.seen) {
      const before = seen.get(name) ?? { votes: 0, lead: null };
      if (votes !== before.votes || !isSame(lead, before.lead)) {
        this.#add(name, votes - before.votes, before.lead, lead, isLed, now);
      }
    }
    for (const { votes } of this.list.splice(CHANGES_MAX)) {
      this.earlier += votes;
    }
  }

  #add(name, votes, from, to, isLed, now) {
    const place = this.list.findIndex((one) => one.name === name && now - one.since < MERGE_MS);
    const [held] = place < 0 ? [] : this.list.splice(place, 1);
    this.made += held ? 0 : 1;
    this.list.unshift({
      key: held?.key ?? this.made,
      name,
      at: now,
      since: held?.since ?? now,
      votes: votes + (held?.votes ?? 0),
      from: held ? held.from : from,
      to,
      isLed,
    });
  }
}
