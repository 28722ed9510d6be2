#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace cpubone {

/// A file of a ustar archive (POSIX.1-1988). Throws cpubone::Error for a name of 100 bytes or more.
std::string tar_entry(std::string_view name, std::string_view bytes, unsigned mode);

/// The program that runs on a device of this architecture (`uname -m`), with its libraries but the
/// C library, as an archive: the files in the folder `agent`; where that is empty, the calling
/// program's own, or for another architecture those in `agent-<architecture>` beside it. Throws
/// cpubone::Error where there is none.
std::string agent_archive(const std::filesystem::path& agent, const std::string& architecture);

}  // namespace cpubone
