// Keeps open pages true: listens for changes and fetches the page anew. Without it (or when the
// stream cannot be had) a page is as true as its last load; nothing here is needed to act.
"use strict";
(() => {
  const follow = document.body.dataset.follow;
  const status = document.getElementById("stream");
  const POLL = 15000; // where there is no stream
  const STALE = 30000; // KPIs move without any event
  let refreshed = Date.now();
  let busy = false;
  let again = false;
  let source = null;
  let timer = null;

  const say = (text) => { if (status) status.textContent = text; };

  // A form that somebody fills in is left alone.
  const isUsed = (part) =>
    [...part.querySelectorAll("input:not([type=hidden]), textarea, select")].some(
      (one) => one === document.activeElement || (one.defaultValue ?? "") !== one.value);

  const swap = (fresh) => {
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (!other || isUsed(part)) continue;
      for (const one of part.querySelectorAll("details[open][id]")) {
        const same = other.querySelector(`#${CSS.escape(one.id)}`);
        if (same) same.open = true;
      }
      if (part.innerHTML === other.innerHTML && part.className === other.className) continue;
      const held = document.activeElement && part.contains(document.activeElement)
        ? document.activeElement.getAttribute("href") || document.activeElement.id : "";
      part.className = other.className;
      part.replaceChildren(...other.childNodes);
      if (held) part.querySelector(`[href="${CSS.escape(held)}"], #${CSS.escape(held)}`)?.focus();
    }
    for (const part of fresh.querySelectorAll("[data-live]"))
      if (!document.getElementById(part.id)) return location.reload();
    document.title = fresh.title;
  };

  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected) { location.reload(); return; }
      if (answer.ok) {
        swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
        refreshed = Date.now();
        tick();
      }
    } catch {
      say("○ no answer");
    } finally {
      busy = false;
      if (again) { again = false; refresh(); }
    }
  };

  const concerns = (news) =>
    news.switch || follow === "all" || news.incidents.includes(Number(follow));

  const poll = () => {
    say("○ every 15 s");
    clearInterval(timer);
    timer = setInterval(refresh, POLL);
  };

  const listen = () => {
    clearInterval(timer);
    source = new EventSource("/events");
    source.onopen = () => { say("● live"); refresh(); };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) poll(); else say("○ reconnecting");
    };
    source.addEventListener("change", (event) => {
      if (concerns(JSON.parse(event.data))) refresh();
    });
    source.addEventListener("beat", () => { if (Date.now() - refreshed > STALE) refresh(); });
  };

  // A hidden page gives its connection back: a browser has few for one server.
  const turn = () => {
    source?.close();
    clearInterval(timer);
    if (!document.hidden) listen();
  };

  const span = (seconds) => {
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
    return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds % 86400 / 3600)} h`;
  };
  const skew = Date.now() - Date.parse(document.body.dataset.now); // of this clock against theirs
  const tick = () => {
    const now = Date.now() - skew;
    for (const time of document.querySelectorAll("time[data-ago]"))
      time.textContent = span(Math.max(0, Math.floor((now - Date.parse(time.dateTime)) / 1000)));
  };

  const button = document.getElementById("theme");
  const themes = ["", "dark", "light"];
  const names = { "": "automatic", dark: "dark", light: "light" };
  const show = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    button.setAttribute("aria-label", `Colours: ${names[theme]}`);
    button.title = `Colours: ${names[theme]}`;
    button.textContent = { "": "◐", dark: "●", light: "○" }[theme];
  };
  button.hidden = false;
  show(document.documentElement.dataset.theme ?? "");
  button.addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? "";
    const next = themes[(themes.indexOf(now) + 1) % themes.length];
    document.cookie = `theme=${next}; path=/; max-age=31536000; SameSite=Strict`;
    show(next);
  });

  if (document.querySelector("time[data-ago]")) setInterval(tick, 5000);
  if (follow) {
    document.addEventListener("visibilitychange", turn);
    turn();
  }
})();
