"""The sample route greets."""

from fastapi.testclient import TestClient


def test_greets_with_the_name_of_the_service(client: TestClient) -> None:
    """A greeting carries a message and the request's id, by which its log lines are found."""
    response = client.get("/", headers={"X-Request-ID": "test-1"})

    assert response.status_code == 200
    assert response.json()["message"]
    assert response.headers["X-Request-ID"] == "test-1"
