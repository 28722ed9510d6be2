
// node render.js LIBRARIES CHARTS.json FOLDER: writes each chart, a list of {file, spec}, as SVG.
'use strict';
const fs = require('fs');
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
const write = async ({ file, spec }) => {
  const view = new vega.View(vega.parse(vegaLite.compile(spec).spec), { renderer: 'none', loader, logLevel: vega.Error });
  fs.writeFileSync(path.join(folder, file), await view.toSVG());
};
(async () => {
  let failed = false;
  for (const chart of JSON.parse(fs.readFileSync(charts, 'utf8'))) {
    try {
      await write(chart);
    } catch (error) {
      failed = true;
      console.error(`${chart.file}: ${error.message}`);
    }
  }
  process.exit(failed ? 1 : 0);
})();
