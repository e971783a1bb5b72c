/**
 * Split `available` among those who want something: all get what they want while it lasts; where it
 * does not, the ones that want more than an even share get the same.
 */
export function share(wanted: number[], available: number): number[] {
  const order = wanted.map((_, index) => index).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0));
  const given = wanted.map(() => 0);
  let left = available;
  order.forEach((index, place) => {
    const even = left / (order.length - place);
    given[index] = Math.min(wanted[index] ?? 0, even);
    left -= given[index];
  });
  return given;
}
