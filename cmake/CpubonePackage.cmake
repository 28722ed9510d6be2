include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/cpubone")
configure_package_config_file(cmake/cpuboneConfig.cmake.in cpuboneConfig.cmake INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(cpuboneConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT cpubone NAMESPACE cpubone:: FILE cpuboneTargets.cmake DESTINATION "${package_dir}")
install(FILES "${PROJECT_BINARY_DIR}/cpuboneConfig.cmake" "${PROJECT_BINARY_DIR}/cpuboneConfigVersion.cmake"
              cmake/FindXNNPACK.cmake DESTINATION "${package_dir}")
