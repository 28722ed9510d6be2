include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/cpubone")
configure_package_config_file(cmake/cpuboneConfig.cmake.in cpuboneConfig.cmake INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(cpuboneConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT cpubone NAMESPACE cpubone:: FILE cpuboneTargets.cmake DESTINATION "${package_dir}")
install(FILES "${PROJECT_BINARY_DIR}/cpuboneConfig.cmake" "${PROJECT_BINARY_DIR}/cpuboneConfigVersion.cmake"
              cmake/FindXNNPACK.cmake cmake/XnnpackArchives.cmake DESTINATION "${package_dir}")
if(CPUBONE_WITH_XNNPACK AND CPUBONE_XNNPACK STREQUAL upstream)
  install(DIRECTORY "${xnnpack_prefix}" DESTINATION "${package_dir}" PATTERN cmake EXCLUDE PATTERN pkgconfig EXCLUDE
          PATTERN kai EXCLUDE)
endif()

# The tools as a package of the Debian that they are built on (docs/install.md).
if(PROJECT_IS_TOP_LEVEL AND CMAKE_SYSTEM_NAME STREQUAL Linux AND NOT CMAKE_CROSSCOMPILING)
  install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" RENAME copyright COMPONENT tools)
  set(CPACK_GENERATOR DEB)
  set(CPACK_PACKAGE_CONTACT "cpubone developers")
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_STRIP_FILES ON)
  set(CPACK_COMPONENTS_ALL tools)
  set(CPACK_DEB_COMPONENT_INSTALL ON)
  set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME cpubone)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_SECTION science)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_SUGGESTS "nodejs, librsvg2-bin")  # pictures of charts
  include(CPack)
endif()
