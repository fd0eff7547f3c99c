# holdfast_add_room(NAME [LINKS target...]) compiles the *.cc beside the calling CMakeLists.txt into
# the object library `holdfast_room_NAME`, with `src/` and `include/` as include roots and LINKS as
# the only third-party targets it may see. Objects and links become part of the one library; which
# rooms may include each other is held by tests/lint. A room without sources yet is left out.
function(holdfast_add_room name)
  cmake_parse_arguments(PARSE_ARGV 1 room "" "" "LINKS")
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  if(NOT sources)
    return()
  endif()
  set(target holdfast_room_${name})
  add_library(${target} OBJECT ${sources})
  set_target_properties(${target} PROPERTIES
    POSITION_INDEPENDENT_CODE ON  # also for the static library: it may end up in somebody's plug-in
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  target_compile_features(${target} PRIVATE cxx_std_20)
  target_include_directories(${target} PRIVATE
    "${holdfast_SOURCE_DIR}/src"
    "${holdfast_SOURCE_DIR}/include"
    "${holdfast_BINARY_DIR}/include")
  target_link_libraries(${target} PRIVATE holdfast_warnings Threads::Threads ${room_LINKS})
  if(HOLDFAST_FAIL_POINTS)
    target_compile_definitions(${target} PRIVATE HOLDFAST_FAIL_POINTS=1)
  endif()
  set_property(GLOBAL APPEND PROPERTY HOLDFAST_ROOMS ${target})
  set_property(GLOBAL APPEND PROPERTY HOLDFAST_ROOM_LINKS ${room_LINKS})
endfunction()
