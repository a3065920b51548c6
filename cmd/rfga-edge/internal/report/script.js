document.querySelectorAll("thead button").forEach(function (button) {
  button.addEventListener("click", function () {
    var th = button.parentElement, table = th.closest("table"), at = Array.prototype.indexOf.call(th.parentElement.children, th);
    var down = th.getAttribute("aria-sort") !== "descending" && th.dataset.first !== "up" || th.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("th[aria-sort]").forEach(function (o) { o.removeAttribute("aria-sort"); });
    th.setAttribute("aria-sort", down ? "descending" : "ascending");
    var body = table.tBodies[0], rows = Array.prototype.slice.call(body.rows);
    rows.sort(function (a, b) {
      var x = parseFloat(a.cells[at].dataset.v), y = parseFloat(b.cells[at].dataset.v);
      return down ? y - x : x - y;
    });
    rows.forEach(function (r) { body.appendChild(r); });
  });
});
function openLinked() {
  var d = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (d && d.tagName === "DETAILS") { d.open = true; d.scrollIntoView(); }
}
addEventListener("hashchange", openLinked);
openLinked();
