// Colours of classes: eight that the colour-blind tell apart (Okabe and Ito 2008), grey for all others.

const PALETTE = [[0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [213, 94, 0], [86, 180, 233], [150, 120, 210], [170, 150, 30]];
const OTHER = [140, 144, 160];

/** The colour of each value, four bytes a point, and a legend of the most frequent: `[{ name, css, at }]`, `at` whose points. */
export function coloured(values) {
  const counts = new Map();
  for (const value of values) if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
  const frequent = [...counts].sort((a, b) => b[1] - a[1]).slice(0, PALETTE.length);
  const colours = new Map(frequent.map(([value], at) => [value, PALETTE[at]]));
  const bytes = new Uint8Array(values.length * 4);
  values.forEach((value, at) => {
    const colour = colours.get(value) ?? OTHER;
    bytes.set([...colour, 255], at * 4);
  });
  const at = (isMeant) => [...values.keys()].filter((position) => isMeant(values[position]));
  const legend = frequent.map(([value], place) => ({ name: String(value), css: `rgb(${PALETTE[place]})`, at: at((one) => one === value) }));
  const others = at((one) => !colours.has(one));
  if (others.length) legend.push({ name: "none or other", css: `rgb(${OTHER})`, at: others });
  return { bytes, legend };
}
