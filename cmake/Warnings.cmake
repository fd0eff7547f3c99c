# The only place with warning flags. Errors are a matter of the presets (CMAKE_COMPILE_WARNING_AS_ERROR):
# who merely uses holdfast must never fail to build because of a newer compiler's warning.
set(common_warnings
  -Wall
  -Wextra
  -Wshadow
  -Wcast-align
  -Wconversion
  -Wimplicit-fallthrough
  -Wformat=2
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast>
  $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wduplicated-cond>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wlogical-op>
  $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wthread-safety>
  # g++ 12 reports these falsely from inside inlined standard library code once it optimises.
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-array-bounds>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-stringop-overflow>
  # Inside, leaving members out of a designated initialiser is fine. Those of the public structs all
  # have an initialiser, which tests/package/consumer is compiled to show.
  -Wno-missing-field-initializers)

add_library(holdfast_warnings INTERFACE)
target_compile_options(holdfast_warnings INTERFACE ${common_warnings} -Wsign-conversion)

# Tests and benches compare sizes with literals in every second line; there the sign warnings only
# breed casts. (-Wconversion brings them along in C and with clang.)
add_library(holdfast_test_warnings INTERFACE)
target_compile_options(holdfast_test_warnings INTERFACE
  ${common_warnings} -Wno-sign-conversion -Wno-sign-compare)
