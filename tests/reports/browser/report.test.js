// Opens reports in Chromium as a user does: from a file. node --test report.test.js
// CHROMIUM: the browser; REPORT: cpubone-report; EXAMPLE: a result.json; OUT: where pages and screenshots go.
'use strict';
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { after, before, test } = require('node:test');
const assert = require('node:assert/strict');
const { chromium } = require('playwright-core');

const { CHROMIUM, REPORT, EXAMPLE, OUT } = process.env;
const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
let browser;

const example = () => JSON.parse(fs.readFileSync(EXAMPLE, 'utf8'));
let example_file;
const example_report = () => (example_file ??= write_report('example', [example()]));

/// Writes the page of these results and returns its file.
function write_report(name, results) {
  const folder = path.join(OUT, name);
  fs.mkdirSync(folder, { recursive: true });
  const inputs = results.map((result, index) => {
    const file = path.join(folder, `result-${index}.json`);
    fs.writeFileSync(file, JSON.stringify(result));
    return file;
  });
  execFileSync(REPORT, [...inputs, '-o', folder, '--quiet']);
  return path.join(folder, 'report.html');
}

/// A page without history, whose chart `first` is drawn, with what it complained about and asked for.
async function open(file, { first = 'r0-front', ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.requested = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) page.complaints.push(message.text());
  });
  page.on('pageerror', (error) => page.complaints.push(error.message));
  page.on('request', (request) => page.requested.push(request.url()));
  const start = Date.now();
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector(`#${first} .chart[data-drawn]`);
  page.interactive_ms = Date.now() - start;
  return page;
}

const draw_all = (page) => page.evaluate(() => window.cpubone_report.ensure_all());

async function shoot(page, name) {
  await draw_all(page);
  await page.screenshot({ path: path.join(OUT, `${name}.png`), fullPage: true });
}

function expect_silence(page, file) {
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(page.requested.filter((url) => !/^(data|blob):/.test(url)), [pathToFileURL(file).href]);
}

/// Position on the screen of a network's mark in the front.
const position = (page, name) => page.evaluate((wanted) => {
  const view = window.cpubone_report.state.r0.views.front;
  const row = view.data('networks').find((other) => other.name === wanted);
  const [left, top] = view.origin();
  const box = document.querySelector('#r0-front .marks').getBoundingClientRect();
  const padding = view.padding();
  return {
    x: box.x + padding.left + left + view.scale('x')(row.latency),
    y: box.y + padding.top + top + view.scale('y')(row.top1),
  };
}, name);

before(async () => {
  fs.mkdirSync(OUT, { recursive: true });
  // playwright-core makes a new profile for each browser that it starts.
  browser = await chromium.launch({ executablePath: CHROMIUM, args: flags });
});
after(() => browser.close());

test('every chart is drawn, nothing complains, nothing leaves the page', async () => {
  const file = example_report();
  assert.ok(fs.statSync(file).size < 2e6, 'the page is smaller than 2 MB');
  const page = await open(file);
  await shoot(page, 'desktop');
  const charts = await page.locator('.chart').count();
  assert.ok(charts >= 7, `${charts} charts`);
  assert.equal(await page.locator('.chart[data-drawn]').count(), charts);
  assert.equal(await page.locator('.chart svg, .chart canvas').count() >= charts, true);
  expect_silence(page, file);
});

test('hovering a network tells what it is', async () => {
  const page = await open(example_report());
  await page.locator('#r0-front').scrollIntoViewIfNeeded();
  const { x, y } = await position(page, 'cpubone-b3');
  await page.mouse.move(x - 40, y - 20);
  await page.mouse.move(x, y, { steps: 5 });
  const tip = page.locator('#vg-tooltip-element.visible');
  await tip.waitFor();
  assert.match(await tip.innerText(), /cpubone-b3[\s\S]*measured[\s\S]*83\.1 % published/);
});

test('the latency budget moves by keyboard and names the best network in it', async () => {
  const page = await open(example_report());
  const slider = page.locator('#r0-budget');
  const output = page.locator('#r0-front output');
  const most = example().networks.sort((a, b) => b.top1.value - a.top1.value)[0];
  assert.ok((await output.innerText()).startsWith(`no limit: ${most.name},`));
  await slider.fill('400');
  const limit = await page.evaluate(() => window.cpubone_report.state.r0.views.front.signal('budget'));
  const text = await output.innerText();
  assert.match(text, /^≤ [\d.]+ ms: /);
  const best = example().networks.filter((n) => n.measured_ms.value <= limit)
    .sort((a, b) => b.top1.value - a.top1.value)[0];
  assert.ok(text.includes(`: ${best.name},`), `${text} names ${best.name}`);
  await slider.focus();
  await page.keyboard.press('ArrowLeft');
  assert.ok(await page.evaluate(() => window.cpubone_report.state.r0.views.front.signal('budget')) < limit);
  await slider.fill('0');
  assert.match(await output.innerText(), /no network is that fast/);
});

test('the budget tells how sure its recommendation is', async () => {
  // 90 % of the proposal's accuracy is above the published 79 %, 75 % of its latency below the published one.
  const above = (value, deviations, log_sd) => value * Math.exp(deviations * log_sd);
  const latency = (value, log_sd) => ({ disturbed: false, samples: 30, value, low: value / above(1, 1.96, log_sd), high: above(value, 1.96, log_sd) });
  const result = example();
  const proposal = result.networks.find((network) => network.origin === 'proposal');
  const published = result.networks.find((network) => network.name === 'cpubone-b1');
  const error_sd = Math.log(21 / 20) / 1.2816;
  Object.assign(proposal.top1, { value: 80, low: 100 - above(20, 1.6449, error_sd), high: 100 - above(20, -1.6449, error_sd) });
  Object.assign(published.top1, { value: 79, low: 79, high: 79 });
  proposal.measured_ms = latency(20, 0.06);
  published.measured_ms = latency(above(20, 0.6745, 0.1), 0.08);
  Object.assign(result, { networks: [proposal, published], candidates: [], front: [], findings: [] });
  const told = async (page, position) => {
    await page.locator('#r0-budget').fill(String(position));
    return page.locator('#r0-front output').innerText();
  };
  const page = await open(write_report('sure', [result]));
  const both = `Of the published ones cpubone-b1, 21.4 (18.3–25.0) ms, measured, 79.0 % published. ${proposal.name} is at least ` +
    'as accurate as cpubone-b1 with a probability of 90 %, and faster with 75 %.';
  assert.equal((await told(page, 1000)).split('\n')[1], both);
  const [low, high] = await page.evaluate(() => window.cpubone_report.state.r0.views.front.scale('x').domain());
  const position = (ms) => Math.ceil(1000 * Math.log(ms / low) / Math.log(high / low));
  assert.match(await told(page, position(above(20, 0.5244, 0.06))), /^≤ 20\.6 ms: .*\nWithin the budget with a probability of 70 %\.$/);
  assert.match(await told(page, position(above(20, 3, 0.06))), /\nWithin the budget with a probability of over 99 %\. Of the published/);

  proposal.measured_ms.disturbed = true;
  const disturbed = await open(write_report('unsure', [result]));
  assert.match(await told(disturbed, 999), /not known: the measuring was disturbed\. .* with a probability of 90 %\.$/);

  Object.assign(proposal.top1, { value: 78.9, low: 77.5, high: 80.2 });
  const worse = await open(write_report('worse', [result]));
  assert.match(await told(worse, 1000), new RegExp(`^no limit: cpubone-b1,.*\nOf the proposals ${proposal.name}, .* with a probability of 4\\d %\\.$`));
});

test('a family is hidden and shown by its button, in both charts', async () => {
  const page = await open(example_report());
  await draw_all(page);
  const button = page.locator('.families button', { hasText: 'proposals' });
  const shown = () => page.evaluate(() => {
    const count = (view) => {
      let found = 0;
      const walk = (item) => {
        if (item.marktype === 'symbol' && item.role === 'mark')
          found += item.items.filter((mark) => mark.datum.series === 'proposals').length;
        (item.items || []).forEach((child) => child.items && walk(child));
      };
      walk(view.scenegraph().root);
      return found;
    };
    const { front, macs } = window.cpubone_report.state.r0.views;
    return [count(front), count(macs)];
  });
  const proposals = example().networks.filter((n) => n.origin === 'proposal').length;
  assert.deepEqual(await shown(), [proposals, proposals]);
  await button.focus();
  await page.keyboard.press('Enter');
  assert.equal(await button.getAttribute('aria-pressed'), 'false');
  await page.waitForTimeout(100);
  assert.deepEqual(await shown(), [0, 0]);
  await button.click();
  await page.waitForTimeout(100);
  assert.deepEqual(await shown(), [proposals, proposals]);
});

test('the front zooms by buttons and changes to a linear axis', async () => {
  const page = await open(example_report());
  const domain = () => page.evaluate(() => window.cpubone_report.state.r0.views.front.scale('x').domain());
  const [low, high] = await domain();
  await page.locator('.in').click();
  await page.waitForTimeout(100);
  const [zoomed_low, zoomed_high] = await domain();
  assert.ok(zoomed_low > low && zoomed_high < high, `${zoomed_low}..${zoomed_high} in ${low}..${high}`);
  await page.locator('.reset').click();
  await page.waitForTimeout(100);
  assert.deepEqual((await domain()).map(Math.round), [low, high].map(Math.round));
  await page.locator('.log').uncheck();
  await page.waitForFunction(() => window.cpubone_report.state.r0.views.front.scale('x').type === 'linear');
  expect_silence(page, path.join(OUT, 'example', 'report.html'));
});

test('text of a result is shown as text', async () => {
  const evil = '<script>window.stolen = 1</script><img src=x onerror="window.stolen = 1">';
  const result = example();
  const old = result.networks[0].name;
  result.networks[0].name = evil;
  result.networks[0].family = evil;
  result.front = result.front.map((name) => (name === old ? evil : name));
  result.device.name = evil;
  result.findings[0].network = evil;
  result.studies[0].columns[0].name = evil;
  result.command = evil;
  const file = write_report('evil', [result]);
  const page = await open(file);
  await draw_all(page);
  assert.equal(await page.evaluate(() => window.stolen), undefined);
  assert.ok((await page.locator('h1').innerText()).includes('<script>window.stolen = 1</script>'));
  await page.locator('#r0-front').scrollIntoViewIfNeeded();
  const { x, y } = await position(page, evil);
  await page.mouse.move(x - 40, y - 20);
  await page.mouse.move(x, y, { steps: 5 });
  await page.locator('#vg-tooltip-element.visible').waitFor();
  assert.ok((await page.locator('#vg-tooltip-element').innerText()).includes('<script>'));
  assert.equal(await page.evaluate(() => window.stolen), undefined);
  assert.equal(await page.locator('#vg-tooltip-element img, main img').count(), 0);
  expect_silence(page, file);
});

test('ten thousand candidates are drawn and answer', async () => {
  const result = example();
  const few = result.candidates;
  result.candidates = Array.from({ length: 10000 }, (unused, i) => {
    const [latency, top1, macs, params] = few[i % few.length];
    const wobble = 1 + 0.03 * Math.sin(i);
    return [latency * wobble, top1 - 0.3 * Math.abs(Math.cos(i)), Math.round(macs * wobble), params];
  });
  const start = Date.now();
  const file = write_report('many', [result]);
  const written_ms = Date.now() - start;
  assert.ok(fs.statSync(file).size < 2e6, 'the page is smaller than 2 MB');
  const page = await open(file);
  const slide_ms = await page.evaluate(async () => {
    const begin = performance.now();
    const slider = document.getElementById('r0-budget');
    slider.value = 500;
    slider.dispatchEvent(new Event('input'));
    await window.cpubone_report.state.r0.views.front.runAsync();
    return performance.now() - begin;
  });
  console.log(`10,000 candidates: written in ${written_ms} ms, interactive after ${page.interactive_ms} ms, ` +
    `slider answers in ${slide_ms.toFixed(0)} ms, page of ${fs.statSync(file).size} bytes`);
  await shoot(page, 'many');
  expect_silence(page, file);
});

test('a phone needs no sideways scrolling, and dark colours are used where they are wanted', async () => {
  const file = example_report();
  const phone = await open(file, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  await shoot(phone, 'phone');
  assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), 390);
  const dark = await open(file, { colorScheme: 'dark' });
  await shoot(dark, 'dark');
  assert.equal(await dark.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(18, 23, 22)');
  await dark.locator('.theme').click();
  assert.equal(await dark.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(251, 250, 247)');
  await draw_all(dark);
  expect_silence(dark, file);
});

test('two results stand side by side', async () => {
  const other = example();
  other.device.name = 'laptop';
  for (const network of other.networks) {
    for (const key of ['value', 'low', 'high']) network.measured_ms[key] *= 2;
    network.gmacps /= 2;
  }
  const file = write_report('two', [example(), other]);
  const page = await open(file);
  await shoot(page, 'two');
  const boxes = await page.evaluate(() => ['r0-front', 'r1-front'].map((id) => {
    const { left, top } = document.getElementById(id).getBoundingClientRect();
    return { left, top };
  }));
  assert.ok(boxes[1].left > boxes[0].left + 300, 'the second is right of the first');
  assert.ok(await page.locator('#both table').isVisible());
  expect_silence(page, file);
});

test('who cannot see or point gets the same', async () => {
  const page = await open(example_report());
  await draw_all(page);
  const gaps = await page.evaluate(() => {
    const found = [];
    for (const chart of document.querySelectorAll('.chart')) {
      const drawing = chart.querySelector('[role=img]');
      if (!drawing || !(drawing.getAttribute('aria-label') || '').includes(' '))
        found.push(`${chart.dataset.chart}: no description`);
      const around = chart.closest('.study') || chart.closest('section');
      if (!around.querySelector('table')) found.push(`${chart.dataset.chart}: no table`);
    }
    for (const table of document.querySelectorAll('table')) {
      if (!table.caption || !table.caption.textContent) found.push('a table without caption');
      if (!table.querySelector('thead th[scope=col]')) found.push('a table without header');
    }
    for (const control of document.querySelectorAll('button, input, summary'))
      if (!(control.textContent.trim() || control.title || control.getAttribute('aria-label') || control.labels?.length))
        found.push(`unnamed ${control.outerHTML.slice(0, 80)}`);
    if (document.documentElement.lang !== 'en') found.push('no language');
    if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
    return found;
  });
  assert.deepEqual(gaps, []);
  // Contrast of text on its ground, WCAG AA: 4.5 to 1; in both colour schemes.
  for (const theme of ['light', 'dark']) {
    const low = await page.evaluate((wanted) => {
      document.documentElement.dataset.theme = wanted;
      const css = getComputedStyle(document.documentElement);
      const luminance = (name) => {
        const hex = css.getPropertyValue('--' + name).trim().slice(1);
        const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
          .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const pairs = [['ink', 'ground'], ['ink', 'card'], ['soft', 'ground'], ['soft', 'card'], ['accent', 'ground'],
        ['accent', 'card'], ['warn', 'warn-ground'], ['yes', 'yes-ground'], ['no', 'no-ground'], ['soft', 'line']];
      return pairs.map(([text, ground]) => {
        const [a, b] = [luminance(text), luminance(ground)].sort((x, y) => y - x);
        return [text, ground, (a + 0.05) / (b + 0.05)];
      }).filter(([, , ratio]) => ratio < 4.5);
    }, theme);
    assert.deepEqual(low, [], theme);
  }
});

test('axe-core finds nothing that keeps anybody out', async () => {
  const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
  for (const options of [{}, { colorScheme: 'dark' }, { viewport: { width: 390, height: 844 }, isMobile: true }]) {
    // The page's own policy lets nothing in, axe neither.
    const page = await open(example_report(), { ...options, bypassCSP: true });
    await draw_all(page);
    await page.evaluate(() => document.querySelectorAll('main details').forEach((one) => { one.open = true; }));
    await page.addScriptTag({ content: axe });
    const found = await page.evaluate(async () => (await window.axe.run()).violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).slice(0, 3).join(', ')}`));
    assert.deepEqual(found, [], JSON.stringify(options));
  }
});

test('labels of networks never overlap, on a screen or a phone', async () => {
  for (const viewport of [{ width: 1280, height: 900 }, { width: 390, height: 844 }]) {
    const page = await open(example_report(), { viewport });
    const boxes = await page.locator('#r0-front .style-label text, #r0-front g.mark-text text').evaluateAll((texts) => [...new Set(texts)]
      .map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }))
      .filter(({ text }) => /[a-z]/.test(text) && !/,/.test(text))
      .map(({ text, box }) => ({ text, left: box.left, right: box.right, top: box.top + 2, bottom: box.bottom - 2 })));
    assert.ok(boxes.length >= (viewport.width > 600 ? 8 : 4), `${boxes.length} labels at ${viewport.width}`);
    for (const [i, a] of boxes.entries())
      for (const b of boxes.slice(i + 1))
        assert.ok(a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top,
          `${a.text} and ${b.text} overlap at ${viewport.width}`);
  }
});

test('a page of studies alone draws their charts, and has no front', async () => {
  const studies = { ...example(), networks: [], candidates: [], findings: [], front: [] };
  studies.studies = studies.studies.filter(({ name }) => name !== 'sensitivity');  // a long table before the first chart
  delete studies.search;
  const file = write_report('studies', [studies]);
  const page = await open(file, { first: 'r0-study-crossover' });
  await shoot(page, 'studies');
  assert.equal(await page.locator('#r0-front, #use, #speed').count(), 0);
  assert.ok(await page.locator('.chart[data-drawn]').count() >= 4);
  assert.equal(await page.locator('nav a').first().textContent(), 'Predictions');
  expect_silence(page, file);
});

test('no table is cut off, on a laptop or on paper', async () => {
  const cut = (page) => page.evaluate(() => [...document.querySelectorAll('.table')]
    .filter((box) => box.offsetParent && box.scrollWidth > box.clientWidth + 1)
    .map((box) => `${box.querySelector('caption').textContent}: ${box.scrollWidth} of ${box.clientWidth}`));
  const page = await open(example_report());
  // What was published for a dozen devices scrolls, and its edge says so.
  assert.deepEqual((await cut(page)).filter((table) => !table.startsWith('Latencies as published')), []);
  await page.setViewportSize({ width: 718, height: 1000 });  // A4 between margins of 1 cm
  await page.emulateMedia({ media: 'print' });
  await draw_all(page);
  assert.deepEqual(await cut(page), []);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 718);
  fs.writeFileSync(path.join(OUT, 'print.pdf'), await page.pdf({ format: 'A4', margin: { left: '1cm', right: '1cm', top: '1cm', bottom: '1cm' } }));
});
