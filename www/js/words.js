// Every word that the page makes, and how it writes numbers and times. One catalogue a language.

export const LANG = document.documentElement.lang || 'en';

const integer = new Intl.NumberFormat(LANG, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(LANG, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(LANG, {
  hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
});
const minutes = new Intl.DateTimeFormat(LANG, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(LANG, { day: 'numeric', month: 'short' });
const short = new Intl.NumberFormat(LANG, { notation: 'compact', maximumFractionDigits: 2 });
const zone = new Intl.DateTimeFormat(LANG).resolvedOptions().timeZone;

export const NONE = '–';

export function count(n) {
  return n === null || n === undefined ? NONE : integer.format(n);
}

export function signed(n) {
  return `${n > 0 ? '+' : n < 0 ? '−' : ''}${integer.format(Math.abs(n))}`;
}

// Tenths of a percent as "41.3 %".
export function percent(tenths) {
  return tenths === null ? NONE : `${tenth.format(tenths / 10)}\u00a0%`;
}

// Turnout: a vote may be counted before its voter is, so more than the whole is not known yet.
export function ofRegister(tenths) {
  return tenths > 1000 ? `${words.beyond}${percent(999)}` : percent(tenths);
}

export function points(tenths) {
  return words.points(tenth.format(Math.abs(tenths) / 10));
}

// The same with its direction: "+2.3 pts".
export function change(tenths) {
  return tenths === null ? NONE : `${tenths > 0 ? '+' : tenths < 0 ? '−' : ''}${points(tenths)}`;
}

// Tenths as a number to reckon with: 2.3.
export function tenths(n) {
  return n === null ? null : n / 10;
}

// A name inside a sentence: its direction of writing must not turn the rest around.
export function isolate(text) {
  return `\u2068${text}\u2069`;
}

// A rate as "1,234/s", slow ones with a tenth.
export function perSecond(rate) {
  return `${rate > 0 && rate < 10 ? tenth.format(rate) : integer.format(rate)}/s`;
}

// Microseconds as "1.5 ms", "340 ms" or "4.0 s"; the longest that is measured is "> 32 s".
export function duration(us) {
  if (us >= 32768000) {
    return '>\u00a032\u00a0s';
  }
  if (us >= 1e6) {
    return `${tenth.format(us / 1e6)}\u00a0s`;
  }
  return `${us < 10000 ? tenth.format(us / 1000) : integer.format(us / 1000)}\u00a0ms`;
}

export function bytes(n) {
  return n >= 1e9 ? `${tenth.format(n / 1e9)}\u00a0GB` : `${integer.format(n / 1e6)}\u00a0MB`;
}

export function time(ms) {
  return ms ? clock.format(new Date(ms)) : NONE;
}

// A moment: with its day where that is another than today.
export function moment(ms) {
  const at = new Date(ms);
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : `${day.format(at)}, ${clock.format(at)}`;
}

// A time on an axis whose marks are 'stepS' apart.
export function timeMark(ms, stepS) {
  const style = stepS >= 86400 ? day : stepS >= 60 ? minutes : clock;
  return style.format(new Date(ms));
}

// A number on an axis: "250K".
export function shortCount(n) {
  return short.format(n);
}

export function timeZone() {
  return zone;
}

export function age(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) {
    return words.seconds(count(s));
  }
  return s < 3600 ? words.minutes(count(Math.floor(s / 60))) : words.hours(count(Math.floor(s / 3600)));
}

// The word of a part of the catalogue for a name that was received, or undefined.
export function wordOf(part, name) {
  return Object.hasOwn(part, name) ? part[name] : undefined;
}

export const words = {
  views: { results: 'Results', places: 'Places', time: 'Over time', breakdowns: 'Breakdowns', pipeline: 'Pipeline' },
  title: (view, election) => `${view} – ${election}`,
  viewFailed: 'This view could not be fetched. Is the daemon running? Reload the page to try again.',
  page: {
    skip: 'Skip to the numbers',
    title: 'Real-time Election Dashboard',
    views: 'Views',
    replay: 'Replay',
    pause: 'Pause',
    resume: 'Resume',
    refreshNow: 'Refresh now',
    display: 'Display',
    refresh: 'Refresh',
    theme: 'Theme',
    size: 'Size',
    asOf: 'As of',
    received: 'Received',
    changed: 'Count last changed',
    refreshed: 'Refreshed at',
    next: 'Next update',
    zone: 'Time zone',
    shares: 'Shares are dealt out by largest remainder and add up to 100.0\u00a0%.',
    point: 'Picture',
    data: 'Data',
    json: 'Numbers as JSON',
    metrics: 'Metrics',
    licences: 'Licences',
  },
  replay: {
    title: 'Replay',
    asOf: (t) => `As of ${t}`,
    notNow: 'The past, not the newest numbers',
    documentTitle: (t, title) => `As of ${t} – ${title}`,
    play: 'Play',
    pause: 'Pause replay',
    slider: 'Moment that is shown',
    jump: 'Go to date and time',
    speed: 'Speed',
    times: (n) => `${integer.format(n)}×`,
    leave: 'Back to live',
    led: (name) => `Replay, led by ${isolate(name)}`,
    leads: (name) => `${isolate(name)} leads all pages in a replay. This one does not follow.`,
    follow: 'Follow',
    show: 'Show to all',
    end: 'End for all',
    refused: 'The server did not do that for all. Try again.',
    failed: 'The past could not be fetched. The page keeps trying.',
    missing: 'Replay could not be fetched. These are the newest numbers.',
    waiting: 'The server knows no past yet: it waits for votes, or still reads those it had. This moment is shown as soon as it can be.',
    unknown: (t, from) => `Not all votes of ${t} are known here. The count is known from ${from} on.`,
    partial: (titles) => `Not all is known of: ${titles}.`,
    noPipeline: 'The pipeline has no past. Go back to live to see it.',
    tooLarge: (title) => `${title} keeps no past: it has too many rows. The option history_rows allows more.`,
    without: (titles) => `Without a past, for having too many rows: ${titles}.`,
  },
  login: {
    hintUsers: 'Sign in to see the count.',
    hintToken: 'Enter your token to see the count.',
    name: 'Name',
    password: 'Password',
    token: 'Token',
    go: 'Sign in',
    going: 'Signing in …',
    wrong: 'Name or password is wrong.',
    wrongToken: 'The token is wrong.',
    wait: (s) => `Too many attempts failed. Try again in ${age(s * 1000)}.`,
    failed: 'The server could not answer. Try again.',
    unreachable: 'The server does not answer. Is it running?',
  },
  account: {
    role: (role) => `Signed in as ${role}`,
    roles: { viewer: 'viewer', operator: 'operator', admin: 'administrator' },
    signOut: 'Sign out',
    drain: 'Stop this node …',
    drainTitle: 'Stop this node?',
    drainText: 'It finishes what is under way, commits it and ends. Nothing is lost. This page goes with it until the node is started again.',
    drainYes: 'Stop it',
    cancel: 'Cancel',
    draining: 'The node is stopping.',
    failed: 'That did not work. Try again.',
  },
  themes: { system: 'As the system', light: 'Light', dark: 'Dark' },
  sizes: { standard: 'Standard', projector: 'Projector' },
  results: {
    votes: 'votes',
    totals: 'Totals',
    counted: 'Votes counted',
    voters: 'Total voters',
    progress: 'Progress',
    candidates: 'Total candidates',
    expected: 'Votes expected',
    registered: 'Registered voters',
    turnout: 'Turnout so far',
    stored: 'Stored in the database',
    definition: 'Progress is votes counted of votes expected. Without an estimate of the turnout every registered voter is expected. It reaches the whole only when the count is declared complete.',
    bars: 'Votes per candidate',
    ring: 'Distribution',
    table: 'Candidates',
    rank: '#',
    candidate: 'Candidate',
    party: 'Party',
    id: 'Candidate id',
    count: 'Votes',
    share: 'Share',
    lead: 'Lead',
  },
  places: {
    title: 'Turnout by state',
    state: 'State',
    votes: 'Votes',
    registered: 'Registered',
    turnout: 'Turnout',
    leader: 'Leading',
    share: 'Share of lead',
    where: 'Who leads where',
    as: 'Show as',
    cells: 'Cells',
    map: 'Map',
    list: 'Places',
    noData: 'No votes yet',
    low: 'Up to a third of the registered voters counted',
    middle: 'Up to two thirds',
    high: 'More',
    tieMark: '=',
    choose: 'Choose a place',
    chooseHelp: 'A click on a place, or the arrow keys among the cells, shows its count here.',
    leadsIn: (name, n, number) => `${isolate(name)} leads in ${n} ${number === 1 ? 'place' : 'places'}`,
    led: (place, name, share, counted) => `${isolate(place)}: ${isolate(name)} leads with ${share}${counted}`,
    tied: (place, counted) => `${isolate(place)}: a tie${counted}`,
    nothing: (place) => `${isolate(place)}: no votes yet`,
    unled: (place, votes, counted) => `${isolate(place)}: ${votes} ${votes === '1' ? 'vote' : 'votes'}${counted}`,
    counted: (part) => `, ${part} of the registered voters counted`,
    changes: 'Latest changes',
    noChanges: 'Nothing has changed since this view was opened.',
    noChangesPast: 'Play the past to see what changes.',
    earlier: (votes) => `${votes} votes in changes before these`,
    noLead: 'a tie',
    leadLost: (name) => `a tie, ${isolate(name)} led`,
    leadTaken: (name, by) => `${isolate(name)} takes the lead by ${by}`,
    leadMoved: (name, from, to) => `lead of ${isolate(name)} ${from} → ${to}`,
    leadKept: (name, by) => `lead of ${isolate(name)} still ${by}`,
    unshaped: (names) => `Not on the map: ${names}`,
  },
  breakdowns: {
    none: 'The topology publishes no other totals.',
    table: 'As a table',
    votes: 'Votes',
    share: 'Share',
    columns: (title) => `Votes by ${title.toLowerCase()}`,
    others: (n) => `${n} others`,
    hidden: (n) => `${n} more are in the table.`,
  },
  tables: {
    age: 'By age',
    age_group: 'By age group',
    gender: 'By gender',
    party: 'By party',
    city: 'By city',
    state_candidate: 'By state and candidate',
  },
  texts: {
    registered_age: 'Age',
    age_group: 'Age group',
    gender: 'Gender',
    city: 'City',
    state: 'State',
    party_affiliation: 'Party',
    candidate_id: 'Candidate',
    candidate_name: 'Candidate',
  },
  pipeline: {
    flow: 'Stages and topics',
    form: 'Shown as',
    forms: { graph: 'Graph', table: 'Table' },
    table: 'Stages by node',
    nodes: 'Nodes',
    asking: 'Asking the nodes',
    nobody: 'No node has spoken yet',
    unfollowed: 'This dashboard does not follow the nodes: add "table.nodes = votingd_nodes" to its section of the topology.',
    failed: 'The pipeline could not be fetched. The page keeps trying.',
    old: (t) => `The pipeline could not be fetched since ${t}. These numbers are old; the page keeps trying.`,
    help: 'A dashed line leads to a stage that follows a topic as a table. Rates and times are those of the last five reports of a node. Latency counts from a record’s timestamp until what came of it is committed. Of several nodes rates are added up, and the slowest time is shown.',
    figures: {
      in: 'In',
      out: 'Out',
      lag: 'Lag',
      latency: 'Latency p50 · p99',
      commit: 'Commit p50 · p99',
      retries: 'Retries',
      rejected: 'Rejected',
      dead: 'Dead letters',
    },
    columns: {
      stage: 'Stage',
      node: 'Node',
      state: 'State',
      in: 'In',
      out: 'Out',
      lag: 'Lag',
      latency50: 'Latency p50',
      latency99: 'Latency p99',
      commit50: 'Commit p50',
      commit99: 'Commit p99',
      retries: 'Retries',
      rejected: 'Rejected',
      dead: 'Dead letters',
    },
    kinds: { flow: 'Topic', own: 'Kept by the stage that writes it', dead: 'Dead letters' },
    stageStates: { running: 'Running', unready: 'Not ready', gone: 'No node runs it' },
    lives: {
      new: 'New', started: 'Starting', running: 'Running', halted: 'Halted', draining: 'Draining', closing: 'Stopping', stopped: 'Stopped',
    },
    nodeStates: {
      starting: 'Starting', running: 'Running', unready: 'Not ready', draining: 'Draining', stopped: 'Stopped', gone: 'Gone',
    },
    nodeFigures: {
      cpu: 'CPU, of a core', memory: 'Memory', up: 'Up', heard: 'Heard', version: 'Version',
    },
    on: (nodes, module) => `${nodes.length === 0 ? '' : `on ${nodes.map(isolate).join(', ')}`}${module === '' ? '' : ` as ${module}`}`,
    ports: (reads, follows, writes) => [['Reads', reads], ['Follows', follows], ['Writes', writes]]
      .filter(([, topics]) => topics.length > 0)
      .map(([verb, topics]) => `${verb} ${topics.join(', ')}.`).join(' '),
    cause: (who, cause) => `${isolate(who)}: ${cause}`,
    missing: (server, cause) => `${server} is away: ${cause}`,
    ago: (text) => `${text} ago`,
    leftOut: (ignored, invalid, refused) => `Left out: ${ignored} records of other applications or versions, ${invalid} malformed, ${refused} for want of room.`,
  },
  time: {
    title: 'Votes over time',
    range: 'Range',
    ranges: { whole: 'Whole', 15: 'Last 15 min', 5: 'Last 5 min' },
    rate: 'Votes a second',
    table: 'The same points as a table',
    at: 'Time',
    latest: (t) => `As of ${t}`,
    point: (t) => `At ${t}`,
    none: 'No votes in this time',
    failed: 'The past could not be fetched. The page keeps trying.',
    some: (n, of) => `${n} of ${of} candidates, those with the most votes`,
    step: (text) => `in steps of ${text}`,
    keys: 'Arrow keys go from point to point, Enter goes to the table',
    value: (name, votes) => `${isolate(name)} ${votes}`,
  },
  copy: { copy: 'Copy', copied: 'Copied', refused: 'The browser does not allow it' },
  table: {
    filter: 'Find',
    sort: 'Sort',
    by: 'by',
    size: 'Rows',
    page: 'Page',
    previous: 'Previous',
    next: 'Next',
    noMatch: 'Nothing matches',
  },
  parties: (n) => (n === 1 ? '1 party' : `${integer.format(n)} parties`),
  kind: { simulated: 'Simulated', replay: 'Replay', live: '' },
  kindHelp: {
    simulated: 'These votes are made by a simulation.',
    replay: 'These votes replay an election that was held before.',
    live: '',
  },
  status: { partial: 'Partial count', complete: 'Complete' },
  freshness: {
    connecting: 'Connecting',
    fresh: 'Live',
    late: 'Late',
    stale: 'Stale',
    disconnected: 'Disconnected',
    paused: 'Paused',
  },
  notice: {
    stale: (text) => `Nothing was heard for ${text}. These numbers are old.`,
    disconnected: (text) => `No connection for ${text}. These numbers are old; the page keeps trying.`,
  },
  pausedSince: (t) => `Still since ${t}`,
  nextLive: 'live',
  nextPaused: 'when resumed',
  polling: 'Live, by polling',
  source: {
    waiting: 'Waiting for the first vote',
    alive: 'Votes are coming in',
    quiet: 'No new votes, feed alive',
    silent: 'The source is silent',
  },
  old: (text) => `Numbers are ${text} old`,
  points: (n) => `${n}\u00a0pts`,
  seconds: (n) => `${n}\u00a0s`,
  minutes: (n) => `${n}\u00a0min`,
  hours: (n) => `${n}\u00a0h`,
  refreshLive: 'Live',
  refreshEvery: (s) => `Every ${s} s`,
  leading: 'Leading candidate',
  tied: 'Tied for the lead',
  fetching: 'Fetching the count',
  fetchingHelp: 'The numbers are shown as soon as the daemon answers.',
  noVotes: 'No votes yet',
  noVotesHelp: 'The count begins with the first vote. This page changes by itself.',
  noCandidates: 'No candidates yet',
  and: ' and ',
  lead: (votes, pts) => `${votes} (${pts})`,
  leadOver: (name, votes, pts) => `${votes} votes ahead of ${isolate(name)} (${pts})`,
  leadAlone: 'No other candidate has votes',
  versus: (label) => `vs ${isolate(label)}`,
  changeVersus: (text, label) => `${text} vs ${isolate(label)}`,
  pointsVersus: (label) => `pts: change vs ${isolate(label)}`,
  onlyIn: (label, names) => `Only in ${isolate(label)}: ${names}`,
  tiedAt: (votes, n) => `${n} candidates with ${votes} votes each`,
  independent: 'No party',
  others: 'Others',
  perSecond: (n) => `${n} a second`,
  notSinceStart: (t) => `not since the start, ${t}`,
  noChangeSince: (t) => `unchanged since ${t}`,
  ofRegistered: (counted, voters) => `${counted} of ${voters} registered`,
  registeredUnknown: 'registered voters not known',
  onRegister: 'on the register',
  registerAt: (t) => `on the register at ${t}`,
  beyond: '> ',
  databaseOld: (t) => `database away, as of ${t}`,
  databaseAbsent: 'database not reached yet',
  pageOf: (n, of) => `Page ${n} of ${of}`,
  rows: (from, to, of) => `${from} to ${to} of ${of}`,
  noPlaces: 'No place has reported yet',
  noRows: 'Nothing counted yet',
  notWhole: 'Not all of it is known of this moment',
  tie: 'Tie',
  ascending: 'Ascending',
  descending: 'Descending',
  gender: { female: 'Women', male: 'Men' },
  unknown: 'Not stated',
  say: {
    leader: (names, votes) => `${names} leads with ${votes} votes.`,
    tie: (names) => `Tie between ${names}.`,
    stale: 'The numbers are no longer fresh.',
    disconnected: 'The connection is lost, the numbers are old.',
    back: 'The numbers are fresh again.',
    complete: 'The count is complete.',
    past: 'The past is shown, not the newest numbers.',
    live: 'The newest numbers are shown again.',
  },
};
