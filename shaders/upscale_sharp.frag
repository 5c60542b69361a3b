#version 450
// Second half of the sharp scaling: smooth along edges, steep across them, no overshoot, no colour fringes.
//
// Four bilinear samples, spread along the edge's tangent, remove the stairs and the diamond pattern of bilinear scaling. Then the
// colour is moved on the straight line between the colours on both sides of the edge, so that the blend between them becomes
// narrower; as it never leaves that line there is neither a halo nor a fringe. Twin: render/plain/upscale_reference.cpp.

layout(set = 0, binding = 0) uniform sampler2D picture;
layout(set = 0, binding = 1) uniform sampler2D structure_map;
layout(push_constant) uniform Sizes {
    vec2 source;
    vec2 target;
} sizes;
layout(location = 0) out vec4 colour;

const float kSide = 0.85;        // source pixels from the edge to the colours on both sides
const float kAcross = 0.22;      // half width of the four samples across the edge
const float kAlongFlat = 0.30;   // along it where there is no direction
const float kAlongEdge = 0.95;   // along it where the direction is clear
const float kGain = 1.7;         // how much narrower the blend gets

void main() {
    const vec2 pixel = 1.0 / sizes.source;
    const vec2 position = gl_FragCoord.xy / sizes.target;
    const vec2 doubled = texture(structure_map, position).xy * 2.0 - 1.0;
    const float clarity = min(length(doubled), 1.0);
    const float cosine = clarity > 0.01 ? doubled.x / length(doubled) : 1.0;
    const vec2 normal = vec2(sqrt(max(0.5 + 0.5 * cosine, 0.0)), (doubled.y < 0.0 ? -1.0 : 1.0) * sqrt(max(0.5 - 0.5 * cosine, 0.0)));
    const vec2 tangent = vec2(-normal.y, normal.x);

    const vec2 along = tangent * mix(kAlongFlat, kAlongEdge, clarity) * pixel;
    const vec2 across = normal * kAcross * pixel;
    const vec3 base = 0.25 * (texture(picture, position + along + across).rgb + texture(picture, position + along - across).rgb +
                              texture(picture, position - along + across).rgb + texture(picture, position - along - across).rgb);

    const vec3 near_side = texture(picture, position - normal * kSide * pixel).rgb;
    const vec3 span = texture(picture, position + normal * kSide * pixel).rgb - near_side;
    const float span_squared = dot(span, span);
    const float t = clamp(dot(base - near_side, span) / (span_squared + 1e-5), 0.0, 1.0);
    const float narrow = clamp((t - 0.5) * kGain + 0.5, 0.0, 1.0);
    const float steep = narrow * narrow * (3.0 - 2.0 * narrow);
    const float amount = clarity * smoothstep(0.0005, 0.01, span_squared);
    colour = vec4(clamp(base + (steep - t) * amount * span, 0.0, 1.0), 1.0);
}
