# wander_add_shaders(target files...): GLSL to SPIR-V to a header `shaders/<file>.spv.hpp` with
# `inline constexpr std::uint32_t k<File>[]`-like arrays (name: <file> with dots as underscores, e.g. present_frag_spv).
find_program(WANDER_GLSLC glslc)
function(wander_add_shaders target)
  add_library(${target} INTERFACE)
  set(headers "")
  foreach(file ${ARGN})
    set(header "${CMAKE_BINARY_DIR}/shaders/${file}.spv.hpp")
    set(prebuilt "${WANDER_TRAVEL_DIR}/shaders/${file}.spv.hpp")
    if(WANDER_GLSLC)
      string(REPLACE "." "_" symbol "${file}")
      add_custom_command(
        OUTPUT "${header}"
        COMMAND "${WANDER_GLSLC}" --target-env=vulkan1.2 -O -Werror -mfmt=num -MD -MF "${header}.d" -o "${header}.num" "${CMAKE_CURRENT_SOURCE_DIR}/${file}"
        COMMAND "${CMAKE_COMMAND}" -D "input=${header}.num" -D "output=${header}" -D "symbol=${symbol}_spv" -P "${CMAKE_SOURCE_DIR}/cmake/embed_spirv.cmake"
        DEPENDS "${file}" "${CMAKE_SOURCE_DIR}/cmake/embed_spirv.cmake"
        COMMENT "Shader ${file}" VERBATIM)
    elseif(EXISTS "${prebuilt}")
      configure_file("${prebuilt}" "${header}" COPYONLY)
    else()
      message(FATAL_ERROR "glslc not found: install the package glslc, or bring .travel/ along (./wander pack)")
    endif()
    list(APPEND headers "${header}")
  endforeach()
  if(headers)
    add_custom_target(${target}_build DEPENDS ${headers})
    add_dependencies(${target} ${target}_build)
  endif()
  target_include_directories(${target} INTERFACE "${CMAKE_BINARY_DIR}")
endfunction()
