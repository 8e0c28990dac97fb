using System.Net;
using System.Text.Json;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>Calls of the handoff's endpoint and of the test app's own.</summary>
internal static class HandoffCalls
{
    private const string Path = "/admin/handoff";

    /// <summary>Asks for a handoff, whatever comes of it.</summary>
    public static async Task<Answer> PostHandoffAsync(this HttpClient client, string query = "")
    {
        using var response = await client.PostAsync(Path + query, null).OrHang();
        return await ReadAsync(response);
    }

    /// <summary>Hands off, or fails with what the answer says.</summary>
    public static async Task<Answer> HandOffAsync(this HttpClient client)
    {
        var answer = await client.PostHandoffAsync();
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Json.ToString());
        return answer;
    }

    public static async Task<Answer> GetHandoffAsync(this HttpClient client)
    {
        using var response = await client.GetAsync(Path).OrHang();
        return await ReadAsync(response);
    }

    public static Task<string> TextAsync(this HttpClient client, string path) => client.GetStringAsync(path).OrHang();

    public static async Task<string> PostTextAsync(this HttpClient client, string path)
    {
        using var response = await client.PostAsync(path, null).OrHang();
        return await response.EnsureSuccessStatusCode().Content.ReadAsStringAsync().OrHang();
    }

    private static async Task<Answer> ReadAsync(HttpResponseMessage response)
    {
        using var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync().OrHang());
        return new Answer(
            response.StatusCode, response.Content.Headers.ContentType?.MediaType, response.Headers.ConnectionClose == true, document.RootElement.Clone());
    }
}

internal sealed record Answer(HttpStatusCode Status, string? ContentType, bool IsLast, JsonElement Json)
{
    /// <summary>A value inside, such as <c>successor.processId</c>.</summary>
    public JsonElement this[string path] => path.Split('.').Aggregate(Json, (element, name) => element.GetProperty(name));

    public string Text(string path) => this[path].ToString();

    public int Number(string path) => this[path].GetInt32();
}
