# wander::torch: libtorch 2.11.0 from the Python package, CPU part linked; the CUDA part is opened at run time where a driver is.
# wander::cuda_host: what host code beside kernels needs (CUDA headers, runtime, torch's stream and allocator library).
file(GLOB python_site "${WANDER_DEPS_DIR}/torch-2.11.0-cuda" "${WANDER_DEPS_DIR}/torch-2.11.0-cpu")
list(SORT python_site ORDER DESCENDING) # the set with CUDA wins where both are there
if(NOT WANDER_TORCH_DIR AND "$ENV{WANDER_TORCH_DIR}" STREQUAL "")
  execute_process(
    COMMAND python3 -c "import importlib.util as u, importlib.metadata as m; v = m.version('torch').split('+')[0]; print(u.find_spec('torch').submodule_search_locations[0] if v == '2.11.0' else '')"
    OUTPUT_VARIABLE python_torch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(python_torch)
    cmake_path(GET python_torch PARENT_PATH python_torch)
    list(PREPEND python_site "${python_torch}")
  endif()
endif()
wander_locate(WANDER_TORCH_DIR torch/include/torch/csrc/api/include/torch/torch.h ${python_site})
if(NOT WANDER_TORCH_DIR)
  message(FATAL_ERROR "torch 2.11.0 not found: run ./wander, or set WANDER_TORCH_DIR to the folder that contains torch/include")
endif()
message(STATUS "torch: ${WANDER_TORCH_DIR}")

set(torch_lib "${WANDER_TORCH_DIR}/torch/lib")
set(nvidia_lib "${WANDER_TORCH_DIR}/nvidia/cu13/lib")
add_library(wander_torch INTERFACE)
add_library(wander::torch ALIAS wander_torch)
target_include_directories(wander_torch SYSTEM INTERFACE "${WANDER_TORCH_DIR}/torch/include"
                                                         "${WANDER_TORCH_DIR}/torch/include/torch/csrc/api/include")
target_link_libraries(wander_torch INTERFACE "-Wl,--no-as-needed" "${torch_lib}/libtorch_cpu.so" "${torch_lib}/libc10.so" "-Wl,--as-needed")
target_link_options(wander_torch INTERFACE "-Wl,-rpath,${torch_lib}" "-Wl,-rpath,${nvidia_lib}")
target_compile_definitions(wander_torch INTERFACE WANDER_TORCH_LIB_DIR="${torch_lib}")
wander_fmt_once(wander_fmt_torch_body "${WANDER_TORCH_DIR}/torch/include")
if(WANDER_FMT_ONCE)
  target_link_libraries(wander_torch INTERFACE wander_fmt_torch_body)
endif()

if(WANDER_CUDA)
  add_library(wander_cuda_host INTERFACE)
  add_library(wander::cuda_host ALIAS wander_cuda_host)
  target_include_directories(wander_cuda_host SYSTEM INTERFACE "${WANDER_CUDA_ROOT}/include")
  target_link_libraries(wander_cuda_host INTERFACE "${torch_lib}/libc10_cuda.so" "${nvidia_lib}/libcudart.so.13")
  target_link_options(wander_cuda_host INTERFACE "-Wl,-rpath,${nvidia_lib}")
endif()

# One precompiled ATen/ATen.h for every target with torch: parsing it costs over 10 s a file otherwise. Not torch/torch.h: nothing here
# needs the C++ front end, and loading that header precompiled takes 6 s a file, this one 1 s.
file(WRITE "${CMAKE_BINARY_DIR}/torch_pch/torch_pch.cpp.in" "// Gives the precompiled header of torch a target to live in.\n")
configure_file("${CMAKE_BINARY_DIR}/torch_pch/torch_pch.cpp.in" "${CMAKE_BINARY_DIR}/torch_pch/torch_pch.cpp" COPYONLY)
add_library(wander_torch_pch OBJECT "${CMAKE_BINARY_DIR}/torch_pch/torch_pch.cpp")
target_link_libraries(wander_torch_pch PRIVATE wander_flags wander::torch)
target_precompile_headers(wander_torch_pch PRIVATE <ATen/ATen.h> <c10/core/InferenceMode.h>)

# wander_use_torch(target): links torch and reuses the precompiled header in every C++ source of the target.
function(wander_use_torch target)
  target_link_libraries(${target} PUBLIC wander::torch)
  target_precompile_headers(${target} REUSE_FROM wander_torch_pch)
endfunction()
