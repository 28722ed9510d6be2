// How soon the page of a report of 10,000 candidates answers in Chromium, and how large it is. Prints rows as
// benchmarks/rows.hpp does.
//
//   npm ci --ignore-scripts --prefix tests/reports/browser
//   node benchmarks/report.mjs build/release/cli/cpubone-report [RESULT.json]
//
// CHROMIUM may name the browser.
import { execFileSync } from "node:child_process";
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const repeats = 7;
const candidates = 10000;
const root = fileURLToPath(new URL("..", import.meta.url));
const [reportProgram, resultFile = join(root, "reports/example/result.json")] = process.argv.slice(2);
if (!reportProgram || process.argv.length > 4) {
  console.error("usage: report.mjs CPUBONE_REPORT [RESULT.json]");
  process.exit(2);
}

function skip(reason) {
  console.error(`skipped: ${reason}`);
  console.log("[]");
  process.exit(0);
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const browsers = ["chromium", "chromium-browser", "google-chrome"];
const browserFile =
  process.env.CHROMIUM ??
  process.env.PATH.split(delimiter).flatMap((folder) => browsers.map((name) => join(folder, name))).find(isProgram);
if (!browserFile) skip("there is no Chromium in PATH, and CHROMIUM is not set");
let chromium;
try {
  ({ chromium } = createRequire(join(root, "tests/reports/browser/package.json"))("playwright-core"));
} catch {
  skip("playwright-core is not installed (npm ci --ignore-scripts --prefix tests/reports/browser)");
}

const rows = [];
function add(row, value, unit, goal, note = "") {
  const holds = goal === null || value <= goal;
  rows.push({ row, value, unit, goal, sense: "<=", holds, note });
  const verdict = goal === null ? "" : `<= ${goal}: ${holds ? "holds" : "FAILS"}`;
  console.error(`${row.padEnd(58)} ${value.toPrecision(4).padStart(10)} ${unit.padEnd(4)} ${verdict} ${note}`);
}
function addMedian(row, values, unit, goal) {
  const sorted = [...values].sort((a, b) => a - b);
  const note = `median of ${sorted.length}, ${sorted[0].toPrecision(3)} to ${sorted.at(-1).toPrecision(3)}`;
  add(row, sorted[sorted.length >> 1], unit, goal, note);
}

/// In the page: seconds since it was asked for until its front is drawn and nothing keeps it from answering.
const interactive = () =>
  new Promise((resolve) => {
    const look = () =>
      document.querySelector("#r0-front .chart[data-drawn]")
        ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now() / 1e3)))
        : setTimeout(look, 2);
    look();
  });
/// In the page: milliseconds until the front shows another budget.
const slide = async () => {
  const begin = performance.now();
  const slider = document.getElementById("r0-budget");
  slider.value = 500;
  slider.dispatchEvent(new Event("input"));
  await window.cpubone_report.state.r0.views.front.runAsync();
  return performance.now() - begin;
};

const folder = mkdtempSync(join(tmpdir(), "cpubone-report-"));
const browser = await chromium.launch({ executablePath: browserFile, args: ["--headless", "--no-sandbox", "--disable-gpu"] });
try {
  const result = JSON.parse(readFileSync(resultFile, "utf8"));
  const known = result.candidates;
  result.candidates = Array.from({ length: candidates }, (unused, i) => {
    const [latency, top1, macs, params] = known[i % known.length];
    const wobble = 1 + 0.03 * Math.sin(i);
    return [latency * wobble, top1 - 0.3 * Math.abs(Math.cos(i)), Math.round(macs * wobble), params];
  });
  const input = join(folder, "result.json");
  writeFileSync(input, JSON.stringify(result));
  execFileSync(reportProgram, [input, "-o", folder, "--quiet"]);
  const file = join(folder, "report.html");
  add("page of 10,000 candidates: size", statSync(file).size / 1e6, "MB", 2);
  const interactives = [];
  const slides = [];
  for (let i = 0; i < repeats; ++i) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    const page = await context.newPage();
    await page.goto(pathToFileURL(file).href);
    interactives.push(await page.evaluate(interactive));
    slides.push(await page.evaluate(slide));
    await context.close();
  }
  addMedian("page of 10,000 candidates: interactive after", interactives, "s", 2);
  addMedian("page of 10,000 candidates: another budget drawn after", slides, "ms", null);
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
console.log(JSON.stringify(rows, null, 1));
