// The server sends back here, with "?wrong", whoever showed another token.
document.getElementById("wrong").hidden = location.search !== "?wrong";
