#version 450
// Every source pixel as a block. Twin: render/plain/upscale_reference.cpp.

layout(set = 0, binding = 0) uniform sampler2D picture;
layout(push_constant) uniform Sizes {
    vec2 source;
    vec2 target;
} sizes;
layout(location = 0) out vec4 colour;

void main() {
    const ivec2 texel = ivec2(gl_FragCoord.xy * sizes.source / sizes.target);
    colour = texelFetch(picture, min(texel, ivec2(sizes.source) - 1), 0);
}
