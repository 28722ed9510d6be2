// Our executor against ONNX Runtime on the same networks, weights and input, taking turns in one
// run. Prints rows as benchmarks/rows.hpp does.
//
//   npm ci --ignore-scripts --prefix benchmarks/onnxruntime
//   node benchmarks/onnxruntime/compare.mjs build/release/benchmarks/onnxruntime_peer [NETWORK...]
//
// CPUBONE_THREADS (1), CPUBONE_ROUNDS (12) and CPUBONE_RUNS (8, of each in a round) may be set.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const goal = 0.92;
const tolerance = 1e-4;
const threads = Number(process.env.CPUBONE_THREADS ?? 1);
const rounds = Number(process.env.CPUBONE_ROUNDS ?? 12);
const runs = Number(process.env.CPUBONE_RUNS ?? 8);
const [peerProgram, ...wanted] = process.argv.slice(2);
const networks = wanted.length
  ? wanted
  : ["nano", "t0", "s0", "b0", "b1", "b2", "b3"].map((n) => `cpubone-${n}`);

if (!peerProgram) {
  console.error("usage: compare.mjs ONNXRUNTIME_PEER [NETWORK...]");
  process.exit(2);
}
let ort;
try {
  ort = (await import("onnxruntime-node")).default;
} catch {
  console.error("skipped: onnxruntime-node is not installed (npm ci --ignore-scripts --prefix benchmarks/onnxruntime)");
  console.log("[]");
  process.exit(0);
}

/// Threads of either wait for work a while before they sleep, and with several threads would take the other's CPUs.
const threadsAsleep = () => new Promise((resolve) => setTimeout(resolve, threads === 1 ? 0 : 100));

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const floats = (path) => {
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};

/// The executor in a process of its own, which is idle while ONNX Runtime runs.
class Peer {
  constructor(network, folder) {
    this.child = spawn(peerProgram, [network, folder, String(threads)], { stdio: ["pipe", "pipe", "inherit"] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }
  async read() {
    const { value, done } = await this.lines.next();
    if (done) throw new Error("the executor ended");
    return JSON.parse(value);
  }
  run(count) {
    this.child.stdin.write(`${count}\n`);
    return this.read();
  }
  end() {
    this.child.stdin.end();
  }
}

const sessionOptions = {
  executionProviders: ["cpu"],
  graphOptimizationLevel: "all",
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: "sequential",
};

async function timed(session, feeds) {
  const before = process.hrtime.bigint();
  const cpuBefore = process.cpuUsage();
  await session.run(feeds);
  const { user, system } = process.cpuUsage(cpuBefore);
  return { ns: Number(process.hrtime.bigint() - before), cpuNs: (user + system) * 1e3 };
}

/// Identity of one number as an ONNX model: what a call itself takes.
function emptyModel() {
  const text = (s) => [s.length, ...Buffer.from(s)];
  const field = (number, bytes) => [(number << 3) | 2, bytes.length, ...bytes];
  const type = field(1, [8, 1, ...field(2, field(1, [8, 1]))]);
  const value = (name) => [10, ...text(name), ...field(2, type)];
  const node = [10, ...text("x"), 18, ...text("y"), 34, ...text("Identity")];
  const graph = [...field(1, node), 18, ...text("g"), ...field(11, value("x")), ...field(12, value("y"))];
  return Buffer.from([8, 9, ...field(7, graph), ...field(8, [10, 0, 16, 20])]);
}

async function callOverhead() {
  const session = await ort.InferenceSession.create(emptyModel(), sessionOptions);
  const feeds = { x: new ort.Tensor("float32", new Float32Array(1), [1]) };
  const ns = [];
  for (let i = 0; i < 300; ++i) ns.push((await timed(session, feeds)).ns);
  return median(ns.slice(100));
}

const rows = [];
function add(row, value, unit, goal, sense, note = "") {
  const holds = goal === null || (sense === "<=" ? value <= goal : value >= goal);
  rows.push({ row, value, unit, goal, sense, holds, note });
  const verdict = goal === null ? "" : `${sense} ${goal}: ${holds ? "holds" : "FAILS"}`;
  console.error(`${row.padEnd(46)} ${value.toPrecision(5).padStart(12)} ${unit.padEnd(8)} ${verdict} ${note}`);
}

const overhead = await callOverhead();
add("ONNX Runtime, one call of nothing", overhead * 1e-3, "us", null, "<=", "left out of its latencies below");

for (const name of networks) {
  const folder = mkdtempSync(join(tmpdir(), "cpubone-onnx-"));
  const peer = new Peer(name, folder);
  try {
    const { macs, chw } = await peer.read();
    const session = await ort.InferenceSession.create(join(folder, "model.onnx"), sessionOptions);
    const feeds = { input: new ort.Tensor("float32", floats(join(folder, "input.f32")), [1, ...chw]) };
    const expected = floats(join(folder, "output.f32"));
    const got = (await session.run(feeds))[session.outputNames[0]].data;
    let difference = 0;
    let norm = 0;
    for (let i = 0; i < expected.length; ++i) {
      difference += (got[i] - expected[i]) ** 2;
      norm += expected[i] ** 2;
    }
    const theirs = [];
    const ours = [];
    const theirsCpu = [];
    const oursCpu = [];
    const peaks = [];
    for (let round = 0; round < rounds; ++round) {
      await threadsAsleep();
      // The first run after the other's turn finds cold caches.
      await timed(session, feeds);
      for (let i = 0; i < runs; ++i) {
        const { ns, cpuNs } = await timed(session, feeds);
        theirs.push(ns - overhead);
        theirsCpu.push(cpuNs - overhead);
      }
      await threadsAsleep();
      const answer = await peer.run(runs + 1);
      ours.push(...answer.ns.slice(1));
      oursCpu.push(...answer.cpu_ns.slice(1));
      peaks.push(...answer.peak_macps.slice(1));
    }
    const [their, our] = [median(theirs), median(ours)];
    const peak = median(peaks) * 1e-9; // GMACpS, MACs a nanosecond
    const rate = (ns) => `${(macs / ns).toFixed(1)} GMACpS, ${(100 * macs / ns / peak).toFixed(0)} % of this CPU's peak`;
    add(`${name}: logits against ONNX Runtime`, Math.sqrt(difference / norm), "rel. L2", tolerance, "<=");
    add(`${name}: ONNX Runtime ${threads === 1 ? "" : `${threads} threads`}`.trimEnd(), their * 1e-6, "ms", null, "<=", rate(their));
    add(`${name}: executor`, our * 1e-6, "ms", null, "<=", rate(our));
    add(`${name}: executor over ONNX Runtime`, our / their, "ratio", goal, "<=", `fastest runs ${(Math.min(...ours) / Math.min(...theirs)).toFixed(3)}`);
    add(`${name}: the same at this CPU's peak`, macs / peak / their, "ratio", null, "<=", `${peak.toFixed(1)} GMACpS; less is possible only with fewer multiplications`);
    add(`${name}: the same of CPU time`, median(oursCpu) / median(theirsCpu), "ratio", null, "<=", "hardly moved by other programs");
    await session.release();
  } finally {
    peer.end();
    rmSync(folder, { recursive: true });
  }
}
console.log(JSON.stringify(rows, null, 1));
