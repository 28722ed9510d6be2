
// Draws the charts of the page from its data, and joins the controls to them.
(() => {
  'use strict';
  const page = JSON.parse(document.getElementById('report-data').textContent);
  // A table of equal rows has their keys once.
  for (const { data } of Object.values(page))
    for (const [name, { keys, rows }] of Object.entries(data))
      if (rows) data[name] = rows.map((row) => Object.fromEntries(keys.map((key, i) => [key, row[i]])));
  const root = document.documentElement;
  const prefers_dark = matchMedia('(prefers-color-scheme: dark)');
  const is_dark = () => (root.dataset.theme || (prefers_dark.matches ? 'dark' : 'light')) === 'dark';
  const colours = {
    light: ['#0f766e', '#c2410c', '#4f46e5', '#a16207', '#be185d', '#0369a1', '#4d7c0f', '#7e22ce', '#57534e',
      '#b91c1c', '#0891b2', '#65a30d', '#9d5c0d', '#6d28d9'],
    dark: ['#4fd1bd', '#fb923c', '#a5b4fc', '#facc15', '#f9a8d4', '#7dd3fc', '#bef264', '#d8b4fe', '#d6d3d1',
      '#fca5a5', '#67e8f9', '#a3e635', '#fdba74', '#c4b5fd'],
  };
  const palette = () => colours[is_dark() ? 'dark' : 'light'];
  // Proposals have the first; families share the others, and differ in shape where they run out.
  const series_colours = {
    light: ['#0f766e', '#c2410c', '#2563eb', '#9333ea', '#a16207', '#db2777', '#57534e', '#4d7c0f'],
    dark: ['#4fd1bd', '#fb923c', '#7ab0ff', '#d0a5ff', '#facc15', '#f9a8d4', '#d6d3d1', '#a3e635'],
  };
  const series_palette = () => {
    const [proposals, ...families] = series_colours[is_dark() ? 'dark' : 'light'];
    return [proposals, ...families, ...families, ...families, ...families];
  };

  const look = (many) => {
    const css = getComputedStyle(root);
    const value = (name) => css.getPropertyValue('--' + name).trim();
    const text = { labelColor: value('soft'), titleColor: value('soft'), titleFontWeight: 'normal' };
    return {
      background: 'transparent',
      aria: false,  // draw() describes the chart as a whole; a text for each of 10,000 marks would only take time
      font: 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif',
      view: { stroke: null },
      axis: { ...text, labelFontSize: 11, titleFontSize: 12, titlePadding: 10, gridColor: value('line'),
        domainColor: value('rule'), tickColor: value('rule'), labelLimit: 150 },
      legend: { ...text, labelFontSize: 12, symbolType: 'circle', labelLimit: 150 },
      title: { color: value('ink') },
      header: text,
      range: { category: palette(), ordinal: series_palette() },
      // `color`, because a mark's own default would win over `stroke` and `fill`.
      style: {
        cloud: { color: value('soft'), size: many ? 6 : 10, opacity: (is_dark() ? 0.3 : 0.22) * (many ? 0.6 : 1) },
        front: { color: value('accent'), strokeWidth: 1.6, opacity: 0.75 },
        interval: { strokeWidth: 1.2 },
        network: { filled: false, strokeWidth: 1.8, size: 70, opacity: 1 },
        label: { color: value('ink'), fontSize: 11 },
        budget: { color: value('warn'), strokeDash: [5, 4], strokeWidth: 1.5 },
        iso: { color: value('rule'), strokeWidth: 1 },
        'iso-label': { color: value('soft'), fontSize: 10, align: 'right', dx: -4, dy: 11 },
        band: { color: value('soft'), opacity: 0.13 },
        part: { stroke: value('card'), strokeWidth: 1, fillOpacity: 0.85 },
      },
    };
  };

  const state = {};  // of each result: hidden series, budget, log axis, and views by chart
  for (const id of Object.keys(page)) state[id] = { hidden: [], budget: null, log: true, views: {} };

  /// The tables that a specification names.
  const used = (spec, found = new Set()) => {
    if (spec && typeof spec === 'object') {
      if (spec.data && typeof spec.data.name === 'string') found.add(spec.data.name);
      Object.values(spec).forEach((child) => used(child, found));
    }
    return found;
  };
  const each_encoding = (spec, visit) => {
    if (spec.encoding) visit(spec.encoding);
    (spec.layer || []).forEach((layer) => each_encoding(layer, visit));
  };

  const prepared = (element) => {
    const { data, charts } = page[element.dataset.result];
    const now = state[element.dataset.result];
    const name = element.dataset.chart;
    const spec = structuredClone(charts[name]);
    // vega writes into the rows that it is given.
    spec.datasets = { ...spec.datasets };
    for (const table of used(spec)) if (data[table]) spec.datasets[table] = structuredClone(data[table]);
    if (spec.width === undefined && !spec.hconcat && !spec.vconcat && !spec.facet) spec.width = 'container';
    spec.autosize = { type: 'fit', contains: 'padding' };
    const narrow = element.clientWidth < 480;
    if (narrow && typeof spec.height === 'number') spec.height = Math.min(spec.height, 340);
    each_encoding(spec, (encoding) => {
      for (const channel of ['color', 'fill', 'shape'])
        if (encoding[channel] && encoding[channel].legend && narrow) encoding[channel].legend.columns = 2;
    });
    if (narrow && spec.datasets.networks)
      for (const row of spec.datasets.networks) row.label_at = row.narrow_label_at;
    for (const param of spec.params || []) {
      if (param.name === 'hidden') param.value = now.hidden;
      if (param.name === 'budget' && now.budget !== null) param.value = now.budget;
    }
    if (name === 'front') {
      each_encoding(spec, (encoding) => {
        for (const channel of ['color', 'fill', 'shape'])  // the buttons above are the legend
          if (encoding[channel]) encoding[channel].legend = null;
        if (encoding.x && encoding.x.scale && !now.log) encoding.x.scale.type = 'linear';
      });
      // A finger that drags must scroll the page; the buttons zoom.
      const view = spec.layer[0].params[0];
      view.translate = matchMedia('(pointer: coarse)').matches ? false
        : '[pointerdown, window:pointerup] > window:pointermove!';
      view.zoom = 'wheel![event.ctrlKey || event.metaKey]';
    }
    return spec;
  };

  const draw = async (element) => {
    const now = state[element.dataset.result];
    const name = element.dataset.chart;
    const spec = prepared(element);
    const many = Object.values(spec.datasets).some((rows) => rows.length > 1500);
    const old = now.views[name];
    const result = await vegaEmbed(element, spec, {
      renderer: many ? 'canvas' : 'svg', mode: 'vega-lite', config: look(many), tooltip: { theme: is_dark() ? 'dark' : 'light' },
      actions: { export: true, source: false, compiled: false, editor: false }, downloadFileName: name,
      ast: false,
    });
    if (old) old.finalize();
    now.views[name] = result.view;
    // One picture with a description; its hundreds of marks would only be noise to a screen reader.
    for (const drawing of element.querySelectorAll('svg.marks, canvas.marks')) {
      drawing.setAttribute('role', 'img');
      drawing.setAttribute('aria-label', element.dataset.alt);
      drawing.removeAttribute('aria-roledescription');
      for (const part of drawing.querySelectorAll('[role], [aria-label]')) {
        part.removeAttribute('role');
        part.removeAttribute('aria-label');
        part.removeAttribute('aria-roledescription');
      }
    }
    const menu = element.querySelector('summary');
    if (menu) menu.setAttribute('aria-label', 'Save this chart as SVG or PNG');
    element.dataset.drawn = 'true';
  };

  const charts = [...document.querySelectorAll('.chart')];
  const report = (element) => (error) => {
    element.textContent = 'This chart cannot be drawn: ' + error.message;
    console.error(element.dataset.chart, error);
  };
  const wanted = new Map();  // charts in drawing or drawn, so that each is drawn once
  const ensure = (element) => {
    if (!wanted.has(element)) wanted.set(element, draw(element).catch(report(element)));
    return wanted.get(element);
  };
  const redraw = (element) => {
    if (!wanted.has(element)) return null;
    wanted.set(element, wanted.get(element).then(() => draw(element)).catch(report(element)));
    return wanted.get(element);
  };
  const redraw_all = () => charts.forEach(redraw);

  const set_signal = (id, name, value, only) => {
    for (const [chart, view] of Object.entries(state[id].views)) {
      if (only && chart !== only) continue;
      try { view.signal(name, value); } catch { continue; }  // charts without that parameter
      view.runAsync();
    }
  };

  /// The share of a normal distribution below so many standard deviations, within 1e-7 (Abramowitz and Stegun, 26.2.17).
  const normal_below = (deviations) => {
    const t = 1 / (1 + 0.2316419 * Math.abs(deviations));
    const series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
    const tail = series * Math.exp(-(deviations ** 2) / 2) / Math.sqrt(2 * Math.PI);
    return deviations > 0 ? 1 - tail : tail;
  };
  /// That what is estimated as `value` is at most `limit`, where its logarithm has this standard deviation; in words.
  const probability = (value, limit, log_sd) => {
    const away = Math.log(limit / value);
    const share = log_sd > 0 ? normal_below(away / log_sd) : Number(away >= 0);
    return share < 0.01 ? 'below 1 %' : share > 0.99 ? 'over 99 %' : `${Math.round(100 * share)} %`;
  };
  const how_surely_within = (row, limit) => (row.latency_log_sd === null
    ? 'Whether it is within the budget is not known: the measuring was disturbed.'
    : `Within the budget with a probability of ${probability(row.latency, limit, row.latency_log_sd)}.`);
  const how_much_better = (proposal, published) => {
    const accurate = probability(100 - proposal.top1, 100 - published.top1, Math.hypot(proposal.error_log_sd, published.error_log_sd));
    const said = `${proposal.name} is at least as accurate as ${published.name} with a probability of ${accurate}`;
    const both_known = proposal.latency_log_sd !== null && published.latency_log_sd !== null;
    if (!both_known || proposal.latency >= published.latency) return `${said}.`;
    const log_sd = Math.hypot(proposal.latency_log_sd, published.latency_log_sd);
    return `${said}, and faster with ${probability(proposal.latency, published.latency, log_sd)}.`;
  };
  const told = (row) => `${row.name}, ${row.latency_text}, ${row.top1_text}`;
  /// Of the most accurate network within a budget, beside the most accurate one of the other origin.
  const how_sure = (best, other, limit) => {
    const said = limit < Infinity ? [how_surely_within(best, limit)] : [];
    if (other && best.origin === 'proposal')
      said.push(`Of the published ones ${told(other)}.`, how_much_better(best, other));
    else if (other)
      said.push(`Of the proposals ${told(other)}.`, how_much_better(other, best));
    return said.join(' ');
  };

  const connect = (figure) => {
    const controls = figure.querySelector('.controls');
    const element = figure.querySelector('.chart');
    if (!controls) return;
    const id = element.dataset.result;
    const now = state[id];
    const { data, charts: specs } = page[id];
    const scale = specs.front.layer[0].encoding.x.scale.domain;
    const top1 = specs.front.layer[0].encoding.y.scale.domain;
    controls.hidden = false;

    // Families: buttons that are the legend too.
    const { domain, range: shapes } = specs.front.layer.find((layer) => layer.name === 'points').encoding.shape.scale;
    const present = new Set(data.networks.map((row) => row.series));
    const families = controls.querySelector('.families');
    domain.forEach((series, index) => {
      if (!present.has(series)) return;
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = series;
      button.dataset.series = series;
      button.dataset.index = index;
      button.dataset.shape = shapes[index];
      button.setAttribute('aria-pressed', 'true');
      button.addEventListener('click', () => {
        const shown = button.getAttribute('aria-pressed') === 'true';
        button.setAttribute('aria-pressed', String(!shown));
        now.hidden = shown ? [...now.hidden, series] : now.hidden.filter((other) => other !== series);
        set_signal(id, 'hidden', now.hidden);
        tell();
      });
      families.append(button);
    });

    // The budget moves on a logarithmic scale, as the axis does.
    const slider = controls.querySelector('.budget input');
    const output = controls.querySelector('.budget output');
    const budget = () => scale[0] * (scale[1] / scale[0]) ** (slider.value / 1000);
    const tell = () => {
      const limit = slider.value === slider.max ? Infinity : budget();
      const within = data.networks
        .filter((row) => row.top1 !== null && row.latency <= limit && !now.hidden.includes(row.series))
        .sort((a, b) => b.top1 - a.top1 || a.latency - b.latency);
      const best = within[0];
      const head = limit === Infinity ? 'no limit' : '≤ ' + limit.toPrecision(3) + ' ms';
      const other = best && within.find((row) => row.origin !== best.origin);
      output.textContent = best ? `${head}: ${told(best)}\n${how_sure(best, other, limit)}`
        : `${head}: no network is that fast`;
      slider.setAttribute('aria-valuetext', head);
    };
    slider.addEventListener('input', () => {
      now.budget = budget();
      set_signal(id, 'budget', now.budget, 'front');
      tell();
    });
    tell();

    controls.querySelector('.log').addEventListener('change', (event) => {
      now.log = event.target.checked;
      redraw(element);
    });
    const log_zoom = (range, factor) => {
      const [a, b] = range.map(Math.log);
      const middle = (a + b) / 2;
      return [middle + (a - middle) * factor, middle + (b - middle) * factor].map(Math.exp);
    };
    const linear_zoom = ([a, b], factor) => {
      const middle = (a + b) / 2;
      return [middle + (a - middle) * factor, middle + (b - middle) * factor];
    };
    const zoom = (factor) => {
      const view = now.views.front;
      if (!view) return;
      const x = view.signal('view_l') || scale;
      const y = view.signal('view_a') || top1;
      view.signal('view_l', factor === 0 ? scale : now.log ? log_zoom(x, factor) : linear_zoom(x, factor));
      view.signal('view_a', factor === 0 ? top1 : linear_zoom(y, factor));
      view.runAsync();
    };
    controls.querySelector('.in').addEventListener('click', () => zoom(0.7));
    controls.querySelector('.out').addEventListener('click', () => zoom(1 / 0.7));
    controls.querySelector('.reset').addEventListener('click', () => {
      zoom(0);
      slider.value = slider.max;
      slider.dispatchEvent(new Event('input'));
    });
  };

  const paint_buttons = () => {
    const colour = series_palette();
    for (const button of document.querySelectorAll('.families button'))
      button.style.setProperty('--colour', colour[button.dataset.index % colour.length]);
  };

  document.querySelectorAll('figure').forEach(connect);
  paint_buttons();

  const theme = document.createElement('button');
  theme.type = 'button';
  theme.className = 'theme';
  const name_theme = () => { theme.textContent = is_dark() ? 'Light' : 'Dark'; theme.setAttribute('aria-label', `Switch to ${is_dark() ? 'light' : 'dark'} colours`); };
  const themed = () => { name_theme(); paint_buttons(); redraw_all(); };
  theme.addEventListener('click', () => { root.dataset.theme = is_dark() ? 'light' : 'dark'; themed(); });
  name_theme();
  document.querySelector('header').append(theme);
  prefers_dark.addEventListener('change', themed);

  // The front is drawn at once, the others when they come near the screen.
  charts.filter((element) => element.dataset.chart === 'front').forEach(ensure);
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries)
      if (entry.isIntersecting) { watcher.unobserve(entry.target); ensure(entry.target); }
  }, { rootMargin: '400px' });
  charts.forEach((element) => watcher.observe(element));
  addEventListener('beforeprint', () => charts.forEach(ensure));

  window.cpubone_report = { state, ensure_all: () => Promise.all(charts.map(ensure)) };
})();
