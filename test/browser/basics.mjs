// What several tests need of arithmetic and time.

export const pause = (ms) => new Promise((resolve) => {
  setTimeout(resolve, ms);
});

// A small seeded generator, so that a failure can be repeated.
export function seeded(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}

// Of [red, green, blue, ...] from 0 to 255, as WCAG has it.
function luminance(bytes) {
  const [r, g, b] = bytes.map((byte) => byte / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// Of two colours, from 1 to 21.
export function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}
