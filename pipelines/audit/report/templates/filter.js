"use strict";
(() => {
  const cards = [...document.querySelectorAll(".finding")];
  const selects = [...document.querySelectorAll("#filters select")];
  const sought = document.querySelector("#filters input");
  const told = document.querySelector("#shown");
  const apply = () => {
    const wanted = selects.filter((one) => one.value).map((one) => [one.dataset.name, one.value]);
    const words = sought.value.trim().toLowerCase();
    let shown = 0;
    for (const card of cards) {
      const hit = wanted.every(([name, value]) => card.dataset[name] === value) &&
        (!words || card.dataset.ids.includes(words));
      card.hidden = !hit;
      shown += hit;
    }
    told.textContent = shown.toLocaleString("en") + " of " + cards.length.toLocaleString("en") + " shown";
    for (const group of document.querySelectorAll(".of-set")) {
      group.hidden = !group.querySelector(".finding:not([hidden])");
    }
  };
  const clear = () => { selects.forEach((one) => { one.value = ""; }); sought.value = ""; apply(); };
  const reveal = () => {
    const card = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (card && card.classList.contains("finding") && card.hidden) { clear(); card.scrollIntoView(); }
  };
  selects.forEach((one) => one.addEventListener("change", apply));
  sought.addEventListener("input", apply);
  document.querySelector("#filters button").addEventListener("click", clear);
  document.querySelectorAll("a[data-eval-set]").forEach((link) => link.addEventListener("click", () => {
    clear();
    for (const one of selects) { one.value = link.dataset[one.dataset.name] || ""; }
    apply();
  }));
  addEventListener("hashchange", reveal);
  document.querySelector("#filters").hidden = false;
})();
