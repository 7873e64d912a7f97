/** Stands in a saved output: unpacks the view's code and the run beside it, and runs the one on the other. */

export {};

async function unpack(text: string): Promise<string> {
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

const host = document.currentScript?.parentElement;
if (host) {
  Promise.all([unpack("__CODE__"), unpack("__DATA__")])
    .then(([code, data]) => {
      const script = document.createElement("script");
      (script as HTMLScriptElement & { lnb?: unknown }).lnb = JSON.parse(data);
      script.textContent = code;
      host.append(script);
    })
    .catch(() => {});
}
