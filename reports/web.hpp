#pragma once
#include <string_view>

/// Files of `reports/web/` and of npm that the build put into the library.
namespace cpubone::web {

/// vega, vega-lite and vega-embed with their licences; empty where the build had no npm.
std::string_view libraries();
/// `vega 5.33.0, vega-lite 5.23.0, vega-embed 6.29.0`, or empty.
std::string_view versions();
std::string_view style();
std::string_view page_script();
/// Program for node that renders charts to SVG; the libraries go before it.
std::string_view render_script();

}  // namespace cpubone::web
