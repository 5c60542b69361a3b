# Language level, warnings, optimisation, sanitizers and the compiler cache of every target of ours.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Nothing here is a shared library, and a precompiled header serves libraries and programs only when both have the same flag.
set(CMAKE_CXX_COMPILE_OPTIONS_PIC "-fPIE")
set(CMAKE_CXX_COMPILE_OPTIONS_PIE "-fPIE")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
find_package(Threads REQUIRED)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# Assertions stay on in release builds: a broken invariant shall stop the program, not corrupt the cache it is about.
set(CMAKE_CXX_FLAGS_RELEASE "-O3")
set(CMAKE_C_FLAGS_RELEASE "-O3")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g")

# Warnings are errors with the compiler that continuous integration uses; a newer one may know warnings that nobody here has seen yet.
set(werror "")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  set(werror -Werror)
endif()

# The target CPU stays plain x86-64: wider code paths are separate functions, chosen at run time.
add_library(wander_flags INTERFACE)
target_compile_options(wander_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;${werror}>)
target_include_directories(wander_flags INTERFACE "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}")
target_compile_definitions(wander_flags INTERFACE WANDER_VERSION="${PROJECT_VERSION}")
target_compile_definitions(wander_flags INTERFACE WANDER_WITH_WINDOW=$<BOOL:${WANDER_WITH_WINDOW}>
                                                  WANDER_WITH_RECORDING=$<BOOL:${WANDER_WITH_RECORDING}>)
target_link_libraries(wander_flags INTERFACE Threads::Threads)

if(WANDER_SANITIZER)
  # The instrumentation hides from GCC what it would need to know for this warning.
  add_compile_options(-Wno-maybe-uninitialized)
endif()
if(WANDER_SANITIZER STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined -g1)
  add_link_options(-fsanitize=address,undefined)
elseif(WANDER_SANITIZER STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=thread)
elseif(WANDER_SANITIZER)
  message(FATAL_ERROR "WANDER_SANITIZER is '${WANDER_SANITIZER}': use address or thread")
endif()

# -fpch-preprocess and the sloppiness let ccache see through precompiled headers; the base directory and the missing
# directory hash make a second clone elsewhere hit the same entries.
find_program(WANDER_CCACHE ccache)
if(WANDER_CCACHE)
  set(launcher "${CMAKE_COMMAND}" -E env "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime"
               "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${WANDER_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${launcher})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endif()
