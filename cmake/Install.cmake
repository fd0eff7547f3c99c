# What `cmake --install` puts down: the library, its public headers, the command, and what
# find_package(holdfast) and pkg-config read. Nothing of src/ is installed.
include(CMakePackageConfigHelpers)

install(TARGETS holdfast holdfast_torture EXPORT holdfastTargets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set(holdfast_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/holdfast)
install(EXPORT holdfastTargets NAMESPACE holdfast:: DESTINATION ${holdfast_cmake_dir})

# Only a static library makes its consumers link what it is built from.
get_target_property(holdfast_type holdfast TYPE)
if(holdfast_type STREQUAL "STATIC_LIBRARY")
  set(HOLDFAST_IS_STATIC ON)
  set(HOLDFAST_PC_REQUIRES "rocksdb spdlog libxxhash")
  set(HOLDFAST_PC_LIBS "-lroaring -pthread -ldl")
else()
  set(HOLDFAST_IS_STATIC OFF)
  set(HOLDFAST_PC_REQUIRES "")
  set(HOLDFAST_PC_LIBS "")
endif()
configure_package_config_file(cmake/holdfastConfig.cmake.in
  "${PROJECT_BINARY_DIR}/holdfastConfig.cmake" INSTALL_DESTINATION ${holdfast_cmake_dir})
# Until 1.0 a minor version may break: 0.2 is not an answer to somebody who asks for 0.1.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/holdfastConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/holdfastConfig.cmake"
  "${PROJECT_BINARY_DIR}/holdfastConfigVersion.cmake"
  DESTINATION ${holdfast_cmake_dir})

foreach(dir LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(HOLDFAST_PC_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(HOLDFAST_PC_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
# The prefix as seen from the file itself: `cmake --install --prefix` may choose it later.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" OUTPUT_VARIABLE HOLDFAST_PC_UP)
configure_file(cmake/holdfast.pc.in "${PROJECT_BINARY_DIR}/holdfast.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/holdfast.pc"
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET holdfast_tool)
  install(TARGETS holdfast_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
