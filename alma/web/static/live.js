// Keeps a page that is looked at as the run stands. Without it the page is loaded again by hand.
"use strict";

(() => {
  const live = document.getElementById("live");
  const said = document.getElementById("said");
  const SOON = 300, APART = 1000; // milliseconds from news to the page, and between two pages
  let source = null, clock = null, soon = null, last = 0, after = Number(live.dataset.after || 0);

  // What somebody has opened, scrolled to or is at stays as it is.
  function keep() {
    const open = [...live.querySelectorAll("details")].map((one) => one.open);
    const scrolled = [...live.querySelectorAll(".scroll, pre")].map((one) => [one.scrollLeft, one.scrollTop]);
    const at = document.activeElement;
    const within = live.contains(at) ? { id: at.id, href: at.getAttribute("href"), label: at.getAttribute("aria-labelledby") } : null;
    return () => {
      live.querySelectorAll("details").forEach((one, n) => { one.open = open[n] || false; });
      live.querySelectorAll(".scroll, pre").forEach((one, n) => { [one.scrollLeft, one.scrollTop] = scrolled[n] || [0, 0]; });
      if (!within) return;
      const same = [...live.querySelectorAll("a, button, summary, [tabindex]")].find((one) =>
        (within.id && one.id === within.id) || (within.href && one.getAttribute("href") === within.href) ||
        (within.label && one.getAttribute("aria-labelledby") === within.label));
      if (same) same.focus({ preventScroll: true });
    };
  }

  async function refresh() {
    soon = null;
    last = Date.now();
    let answer;
    try {
      answer = await fetch(location.pathname + location.search, { redirect: "error" });
    } catch { return tell("The server does not answer. What is shown may be old."); }
    if (!answer.ok) return tell("The server lets nobody in any more: open the URL that it has printed.");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("live");
    if (!fresh) return;
    const restore = keep();
    live.replaceChildren(...fresh.childNodes);
    document.title = page.title;
    restore();
    if (clock && !fresh.dataset.again) stop();
  }

  function renew() {
    if (soon === null) soon = setTimeout(refresh, Math.max(SOON, last + APART - Date.now()));
  }

  function tell(words) { if (said) said.textContent = words; }

  function start() {
    if (live.dataset.again) {
      if (clock === null) clock = setInterval(refresh, Number(live.dataset.again));
      return;
    }
    if (source || !live.dataset.events) return;
    source = new EventSource(`${live.dataset.events}?after=${after}`);
    source.addEventListener("progress", (event) => {
      const told = JSON.parse(event.data);
      after = told.seq;
      if (told.shown) tell(told.step ? `${told.step}: ${told.words}` : told.words);
      renew();
    });
    source.addEventListener("error", () => tell("The connection is lost. It is tried again."));
    source.addEventListener("state", renew);
    source.addEventListener("end", () => { stop(); delete live.dataset.events; renew(); });
  }

  function stop() {
    if (source) source.close();
    if (clock) clearInterval(clock);
    source = clock = null;
  }

  // A browser opens few connections to one server: a page that nobody sees gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return stop();
    start();
    renew();
  });
  if (!document.hidden) start();
})();
