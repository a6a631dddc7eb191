// The pipeline as a graph, from what the nodes say of themselves. Nothing here knows the document.

const HERE = ['starting', 'running', 'draining']; // states of nodes that work

export function isHere(node) {
  return HERE.includes(node.state);
}

function rate(node, [, recent]) {
  return node.window_ms > 0 ? (recent * 1000) / node.window_ms : 0;
}

// One stage on one node, numbers as they are shown: rates a second, or null where there is none.
function instance(node, stage) {
  const isLive = isHere(node);
  const numbers = {};
  for (const name of ['in', 'out', 'rejected', 'dead', 'retries', 'batches']) {
    numbers[name] = { total: stage[name][0], recent: stage[name][1], rate: isLive ? rate(node, stage[name]) : 0 };
  }
  return {
    ...numbers,
    node,
    stage,
    isLive,
    lag: sum(stage.inputs.map((input) => input.lag)),
    latency: stage.latency_us,
    commit: stage.commit_us,
    stopped: stage.stopped,
  };
}

// Null where nothing is known.
function sum(values) {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? known.reduce((all, value) => all + value, 0) : null;
}

// Quantiles of several nodes cannot be added: the worst stands for all.
function worst(pairs) {
  const known = pairs.filter((pair) => pair !== null);
  return known.length > 0
    ? [Math.max(...known.map((pair) => pair[0])), Math.max(...known.map((pair) => pair[1]))]
    : null;
}

// Every stage once, by the name of a node and then in the order of its topology, with all that its nodes say
// added up. Nodes that are gone or have stopped count only where no other runs the stage.
export function stagesOf(nodes) {
  const byName = new Map();
  for (const node of nodes) {
    for (const stage of node.stages) {
      const one = instance(node, stage);
      byName.set(stage.stage, [...byName.get(stage.stage) ?? [], one]);
    }
  }
  return [...byName].map(([name, all]) => {
    const live = all.filter((one) => one.isLive);
    const counted = live.length > 0 ? live : all;
    const merged = {
      name,
      all,
      live,
      module: counted[0].stage.module,
      inputs: counted[0].stage.inputs,
      tables: counted[0].stage.tables,
      deadTopic: counted[0].stage.dead_topic,
      outputs: counted[0].stage.outputs.map((output, i) => ({
        topic: output.topic,
        rate: sum(live.map((one) => rate(one.node, one.stage.outputs[i]?.records ?? [0, 0]))) ?? 0,
        total: sum(counted.map((one) => one.stage.outputs[i]?.records[0] ?? 0)),
      })),
      lag: sum(live.map((one) => one.lag)),
      latency: worst(live.map((one) => one.latency)),
      commit: worst(live.map((one) => one.commit)),
      stopped: sum(live.map((one) => one.stopped)) ?? 0,
      causes: live.filter((one) => one.stage.cause !== '')
        .map((one) => ({ node: one.node.node, cause: one.stage.cause })),
    };
    for (const what of ['in', 'out', 'rejected', 'dead', 'retries', 'batches']) {
      merged[what] = {
        total: sum(counted.map((one) => one[what].total)),
        recent: sum(live.map((one) => one[what].recent)) ?? 0,
        rate: sum(live.map((one) => one[what].rate)) ?? 0,
      };
    }
    return merged;
  });
}

// Every topic: who writes, reads (as an input) and follows it (as a table).
export function topicsOf(stages) {
  const topics = new Map();
  const at = (name) => {
    if (!topics.has(name)) {
      topics.set(name, {
        name, writers: new Set(), readers: new Set(), followers: new Set(), rate: 0, isDead: false, dead: 0,
      });
    }
    return topics.get(name);
  };
  for (const stage of stages) {
    for (const output of stage.outputs) {
      at(output.topic).writers.add(stage.name);
      at(output.topic).rate += output.rate;
    }
    stage.inputs.forEach((input) => at(input.topic).readers.add(stage.name));
    stage.tables.forEach((table) => at(table.topic).followers.add(stage.name));
    if (stage.deadTopic !== '') {
      const topic = at(stage.deadTopic);
      topic.writers.add(stage.name);
      topic.rate += stage.dead.rate;
      topic.dead += stage.dead.total;
      topic.isDead = true;
    }
  }
  return [...topics.values()];
}

// Stages that take from the topic what others have put there.
function takersOf(topic) {
  return [...new Set([...topic.readers, ...topic.followers])].filter((name) => !topic.writers.has(name)
    || topic.readers.has(name));
}

// Topics between the same stages are one vertex.
function bundlesOf(topics) {
  const bundles = new Map();
  for (const topic of topics) {
    const takers = takersOf(topic);
    const key = `${[...topic.writers].sort()}>${[...takers].sort()}`;
    if (!bundles.has(key)) {
      bundles.set(key, { id: `topics:${key}`, kind: 'topics', topics: [], takers, writers: [...topic.writers] });
    }
    bundles.get(key).topics.push(topic);
  }
  return [...bundles.values()];
}

function edgesOf(bundles) {
  const edges = [];
  for (const bundle of bundles) {
    const flow = bundle.topics.reduce((all, topic) => all + topic.rate, 0);
    bundle.writers.forEach((name) => edges.push({
      from: `stage:${name}`, to: bundle.id, kind: 'writes', rate: flow,
    }));
    bundle.takers.forEach((name) => edges.push({
      from: bundle.id,
      to: `stage:${name}`,
      kind: bundle.topics.some((topic) => topic.readers.has(name)) ? 'reads' : 'follows',
      rate: flow,
    }));
  }
  return edges;
}

// The row of each vertex: one below the lowest that leads to it. An edge that would close a circle
// does not count. Topics that no stage writes stand right above who takes them first.
function rowsOf(vertices, edges) {
  const into = new Map(vertices.map(({ id }) => [id, []]));
  const rows = new Map();
  const open = new Set();
  edges.forEach((edge) => into.get(edge.to).push(edge.from));

  function place(id) {
    if (!rows.has(id) && !open.has(id)) {
      open.add(id);
      const above = into.get(id).filter((from) => !open.has(from)).map(place);
      rows.set(id, above.length > 0 ? 1 + Math.max(...above) : 0);
      open.delete(id);
    }
    return rows.get(id) ?? -1;
  }

  vertices.forEach(({ id }) => place(id));
  for (const { id, kind } of vertices) {
    const takers = edges.filter((edge) => edge.from === id).map((edge) => rows.get(edge.to));
    if (kind === 'topics' && into.get(id).length === 0 && takers.length > 0) {
      rows.set(id, Math.min(...takers) - 1);
    }
  }
  const top = Math.min(0, ...rows.values());
  rows.forEach((row, id) => rows.set(id, row - top));
  return rows;
}

// An edge over several rows runs on a rail, a vertex in each row between; one rail for all edges of
// its source.
function addRails(edges, rowOf, rows) {
  return edges.flatMap((edge) => {
    const first = rowOf.get(edge.from) + 1;
    const last = rowOf.get(edge.to) - 1;
    const parts = [];
    let from = edge.from;
    for (let row = first; row <= last; row += 1) {
      const id = `rail:${edge.from}:${row}`;
      if (!rows[row].some((vertex) => vertex.id === id)) {
        rows[row].push({ id, kind: 'rail' });
        parts.push({ ...edge, from, to: id });
      }
      from = id;
    }
    return [...parts, { ...edge, from }];
  });
}

// Left to right: below what leads to it; ends and rails stay at the right.
function sortRow(row, above, edges) {
  const place = new Map(above.map(({ id }, i) => [id, i]));
  const rank = (vertex) => {
    const from = edges.filter((edge) => edge.to === vertex.id).map((edge) => place.get(edge.from))
      .filter((at) => at !== undefined);
    return from.length > 0 ? from.reduce((all, at) => all + at, 0) / from.length : above.length;
  };
  const side = (vertex) => (vertex.kind === 'rail' ? 2 : Number(vertex.kind === 'topics' && vertex.takers.length === 0));
  return row.map((vertex, i) => ({ vertex, i, rank: rank(vertex), side: side(vertex) }))
    .sort((a, b) => a.side - b.side || a.rank - b.rank || a.i - b.i)
    .map(({ vertex }) => vertex);
}

// What all names begin with, up to a separator: it tells none from another, so it need not be shown.
export function prefixOf(names) {
  const [first = ''] = names;
  let end = 0;
  while (end < first.length && names.every((name) => name[end] === first[end])) {
    end += 1;
  }
  return names.length > 1 ? first.slice(0, first.slice(0, end).search(/[^._-]*$/)) : '';
}

// {rows: [[vertex]], edges: [{from, to, kind, rate}]}: a vertex is a stage, some topics, or a part of a
// rail; data flows from row to row.
export function graphOf(stages) {
  const topics = topicsOf(stages);
  const prefix = prefixOf(topics.map((topic) => topic.name));
  const bundles = bundlesOf(topics.map((topic) => ({ ...topic, label: topic.name.slice(prefix.length) })));
  const vertices = [...stages.map((stage) => ({ id: `stage:${stage.name}`, kind: 'stage', stage })), ...bundles];
  const edges = edgesOf(bundles);
  const rowOf = rowsOf(vertices, edges);
  const rows = [];
  for (const vertex of vertices) {
    (rows[rowOf.get(vertex.id)] ??= []).push(vertex);
  }
  for (let row = 0; row < rows.length; row += 1) {
    rows[row] ??= [];
  }
  const drawn = addRails(edges, rowOf, rows);
  for (let row = 0; row < rows.length; row += 1) {
    rows[row] = sortRow(rows[row], rows[row - 1] ?? [], drawn);
  }
  return { rows, edges: drawn };
}
