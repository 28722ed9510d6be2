
// node render.js LIBRARIES CHARTS.json FOLDER: writes each chart, a list of {file, spec}, as SVG and, where
// there is an rsvg-convert, as PNG of twice its size. What it could not write is a line on stderr.
'use strict';
const fs = require('fs');
const { execFile } = require('child_process');
const path = require('path');
const vm = require('vm');

const [libraries, charts, folder] = process.argv.slice(2);
try {
  vm.runInThisContext(fs.readFileSync(libraries, 'utf8'));
} catch (error) {
  // vega-embed, the last of them, wants a browser; vega and vega-lite are there by then.
  if (!globalThis.vega || !globalThis.vegaLite) throw error;
}
const refuse = () => Promise.reject(new Error('a chart may not load anything'));
const loader = { load: refuse, sanitize: refuse, http: refuse, file: refuse };
const part = (file) => `${file}.part`;  // until it is whole
const write_svg = async (file, spec) => {
  const view = new vega.View(vega.parse(vegaLite.compile(spec).spec), { renderer: 'none', loader, logLevel: vega.Error });
  fs.writeFileSync(part(file), await view.toSVG());
  fs.renameSync(part(file), file);
};
const write_png = (file, svg) => new Promise((done, fail) => {
  execFile('rsvg-convert', ['--zoom', '2', '--output', part(file), svg], (error) => {
    if (!error) return done(fs.renameSync(part(file), file));
    const missing = error.code === 'ENOENT';
    fail(new Error(missing ? 'no charts/*.png: rsvg-convert was not found (Debian: librsvg2-bin)' : `${path.basename(file)}: ${error.message}`));
  });
});
(async () => {
  const failures = new Set();
  const pictures = [];
  for (const { file, spec } of JSON.parse(fs.readFileSync(charts, 'utf8'))) {
    const svg = path.join(folder, file);
    try {
      await write_svg(svg, spec);
      pictures.push(write_png(svg.replace(/svg$/, 'png'), svg).catch((error) => failures.add(error.message)));
    } catch (error) {
      failures.add(`${file}: ${error.message}`);
    }
  }
  await Promise.all(pictures);
  for (const failure of failures) console.error(failure.replace(/\s+/g, ' '));
})();
