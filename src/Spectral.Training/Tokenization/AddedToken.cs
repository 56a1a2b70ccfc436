using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>A token that is cut out of the text as a whole, before merges.</summary>
internal sealed record AddedToken(
    int Id,
    string Content,
    bool SingleWord,
    bool StripLeft,
    bool StripRight,
    bool Normalized,
    bool Special
)
{
    /// <summary>
    /// The most characters: at each place of a text that begins like the token, so many are compared.
    /// </summary>
    public const int Longest = 1024;

    /// <summary>Reads a token as tokenizers write it, with an id from elsewhere.</summary>
    public static AddedToken Read(JsonFields fields, int id)
    {
        bool special = fields.Boolean("special") ?? false;
        if (fields.RequiredText("content").Length > Longest)
            throw fields.Wrong("content", $"at most {Longest} characters");
        return new AddedToken(
            id,
            fields.RequiredText("content"),
            fields.Boolean("single_word") ?? false,
            fields.Boolean("lstrip") ?? false,
            fields.Boolean("rstrip") ?? false,
            fields.Boolean("normalized") ?? !special,
            special
        );
    }

    /// <summary>Checks that a token is not too long to look for.</summary>
    /// <exception cref="InputException">It is.</exception>
    public static void RequireLength(string content, string file)
    {
        if (content.Length > Longest)
            throw new InputException($"{file}: a token of {content.Length} characters, expected at most {Longest}");
    }
}
