# The headers to ask cuDNN for FP8 attention: sets WANDER_CUDNN_FP8, WANDER_CUDNN_FRONTEND_DIR and WANDER_CUDNN_INCLUDE. Nothing is
# linked: cuDNN comes with torch's CUDA libraries and is found at run time. Its own headers lie in the same package, or in the system's.
set(WANDER_CUDNN_FP8 0)
if(WANDER_CUDA)
  wander_locate(WANDER_CUDNN_FRONTEND_DIR include/cudnn_frontend.h "${WANDER_TRAVEL_DIR}/cudnn-frontend" "${WANDER_DEPS_DIR}/cudnn-frontend-1.32.0")
  find_path(WANDER_CUDNN_INCLUDE cudnn.h PATHS "${WANDER_TORCH_DIR}/nvidia/cudnn/include" "${WANDER_TRAVEL_DIR}/cudnn/include" NO_DEFAULT_PATH)
  find_path(WANDER_CUDNN_INCLUDE cudnn.h PATHS "${WANDER_CUDA_ROOT}/include")
  mark_as_advanced(WANDER_CUDNN_INCLUDE)
  if(WANDER_CUDNN_FRONTEND_DIR AND WANDER_CUDNN_INCLUDE AND EXISTS "${WANDER_CUDA_ROOT}/include/cuda.h")
    set(WANDER_CUDNN_FP8 1)
  endif()
endif()
message(STATUS "cuDNN FP8 attention: ${WANDER_CUDNN_FP8} (${WANDER_CUDNN_FRONTEND_DIR}; ${WANDER_CUDNN_INCLUDE})")
