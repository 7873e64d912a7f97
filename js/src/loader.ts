/** Stands in a saved output: unpacks the view's code and the run beside it, and runs the one on the other. */

export {};

async function unpack(text: string): Promise<string> {
  const chars = atob(text);
  const bytes = new Uint8Array(chars.length);
  // by index: an iterator over so many characters takes longer than all else here
  for (let n = chars.length; n--; ) bytes[n] = chars.charCodeAt(n);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

const host = document.currentScript?.parentElement;
// an array, because a constant would be found to be true when this is built
const [packed, more, data, raw] = ["__CODE__", "__MORE__", "__DATA__", "__RAW__"] as const;
if (host) {
  const draw = (): Promise<void> =>
    Promise.all([unpack(packed), unpack(data)])
      .then(([textContent, run]) => {
        const lnbMore = () => unpack(more);
        const lnbRaw = raw ? () => unpack(raw) : null;
        const script = document.createElement("script");
        host.append(Object.assign(script, { lnb: JSON.parse(run), lnbMore, lnbRaw, textContent }));
      })
      .catch(() => {});
  // of twenty in a notebook, first what the reader sees; the others when there is time
  new IntersectionObserver(([seen], observer) => {
    // it stands beside a widget, and only comes in its place
    if (host.checkVisibility?.() === false) return;
    observer.disconnect();
    if (seen?.isIntersecting) draw();
    else (globalThis.requestIdleCallback ?? setTimeout)(draw);
  }).observe(host);
}
