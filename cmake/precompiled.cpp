// Only its precompiled headers are wanted, see CpuboneLibrary.cmake.
