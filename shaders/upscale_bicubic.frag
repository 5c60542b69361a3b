#version 450
// Catmull-Rom over 4x4 source pixels, edges repeated. Twin: render/plain/upscale_reference.cpp.

layout(set = 0, binding = 0) uniform sampler2D picture;
layout(push_constant) uniform Sizes {
    vec2 source;
    vec2 target;
} sizes;
layout(location = 0) out vec4 colour;

vec4 weights(float t) {
    return vec4(((2.0 - t) * t - 1.0) * t, (3.0 * t - 5.0) * t * t + 2.0, ((4.0 - 3.0 * t) * t + 1.0) * t, (t - 1.0) * t * t) * 0.5;
}

void main() {
    const vec2 position = gl_FragCoord.xy * sizes.source / sizes.target - 0.5;
    const ivec2 corner = ivec2(floor(position)) - 1;
    const vec2 fraction = fract(position);
    const vec4 across = weights(fraction.x);
    const vec4 down = weights(fraction.y);
    const ivec2 last = ivec2(sizes.source) - 1;
    vec3 sum = vec3(0.0);
    for (int y = 0; y < 4; ++y) {
        vec3 row = vec3(0.0);
        for (int x = 0; x < 4; ++x) {
            row += across[x] * texelFetch(picture, clamp(corner + ivec2(x, y), ivec2(0), last), 0).rgb;
        }
        sum += down[y] * row;
    }
    colour = vec4(clamp(sum, 0.0, 1.0), 1.0);
}
