# {fmt}, compiled once: header-only, every file that formats one text compiles the whole machinery again (2.7 s of 4 s a file).
#
# wander_fmt_once(target include_dir): a static library with fmt's functions as the headers below include_dir declare them, if those are
# of a version that cmake/fmt_once.cpp knows; sets WANDER_FMT_ONCE to whether it did. Targets with torch see torch's own fmt, another
# version in another inline namespace, so there are two such libraries.
set(WANDER_FMT_SOURCE "${CMAKE_CURRENT_LIST_DIR}/fmt_once.cpp")
function(wander_fmt_once target include_dir)
  set(WANDER_FMT_ONCE OFF PARENT_SCOPE)
  set(version 0)
  foreach(header base.h core.h)
    if(EXISTS "${include_dir}/fmt/${header}")
      file(STRINGS "${include_dir}/fmt/${header}" line REGEX "^#define FMT_VERSION [0-9]+" LIMIT_COUNT 1)
      if(line MATCHES "([0-9]+)$")
        set(version "${CMAKE_MATCH_1}")
        break()
      endif()
    endif()
  endforeach()
  if(version LESS 90000 OR version GREATER_EQUAL 130000 OR NOT EXISTS "${include_dir}/fmt/format-inl.h")
    message(STATUS "fmt: version ${version} of ${include_dir} stays header-only")
    return()
  endif()
  add_library(${target} STATIC "${WANDER_FMT_SOURCE}")
  target_include_directories(${target} SYSTEM PRIVATE "${include_dir}")
  set(WANDER_FMT_ONCE ON PARENT_SCOPE)
endfunction()
