#version 450
// First half of the sharp scaling, once per source pixel: which way do edges run here, and how clearly?
//
// The structure tensor of the luma gradient, blurred over 3x3. Written: (cos, sin) of twice the gradient's angle times the
// coherence, as 0.5 + 0.5 v. Doubled angles make opposite gradients equal, so that the sampler may interpolate them.
// Twin: render/plain/upscale_reference.cpp.

layout(set = 0, binding = 0) uniform sampler2D picture;
layout(push_constant) uniform Sizes {
    vec2 source;
    vec2 target;
} sizes;
layout(location = 0) out vec4 structure;

void main() {
    const ivec2 centre = ivec2(gl_FragCoord.xy);
    const ivec2 last = ivec2(sizes.source) - 1;
    float luma[25];
    for (int i = 0; i < 25; ++i) {
        const ivec2 at = clamp(centre + ivec2(i % 5 - 2, i / 5 - 2), ivec2(0), last);
        luma[i] = dot(texelFetch(picture, at, 0).rgb, vec3(0.299, 0.587, 0.114));
    }
    vec3 tensor = vec3(0.0);  // xx, yy, xy
    for (int y = 0; y < 3; ++y) {
        for (int x = 0; x < 3; ++x) {
            const int o = y * 5 + x;  // top left of this 3x3
            const float gx = (luma[o + 2] + 2.0 * luma[o + 7] + luma[o + 12]) - (luma[o] + 2.0 * luma[o + 5] + luma[o + 10]);
            const float gy = (luma[o + 10] + 2.0 * luma[o + 11] + luma[o + 12]) - (luma[o] + 2.0 * luma[o + 1] + luma[o + 2]);
            const float weight = (x == 1 ? 2.0 : 1.0) * (y == 1 ? 2.0 : 1.0);
            tensor += weight * vec3(gx * gx, gy * gy, gx * gy);
        }
    }
    // The constant fades the direction out where nothing but noise is left (a gradient of about 1/255).
    const vec2 doubled = vec2(tensor.x - tensor.y, 2.0 * tensor.z) / (tensor.x + tensor.y + 0.02);
    structure = vec4(0.5 + 0.5 * doubled, 0.0, 1.0);
}
