using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Rotations from skew-symmetric matrices, as OFT and PSOFT make them: by Cayley's formula, or by PEFT's series in its
/// place.
/// </summary>
internal static class CayleyRotation
{
    private const string Neumann = "cayley-neumann";
    private const string Terms = "neumann-terms";

    /// <summary>The choice between the two, under PEFT's keys.</summary>
    /// <param name="neumann">Whether the series is the default.</param>
    /// <param name="opposite">As for <see cref="Trained"/>.</param>
    public static IReadOnlyList<AdapterSetting> Settings(bool neumann, bool opposite = false) =>
        [
            AdapterSetting.Switch(
                Neumann,
                neumann,
                $"A series in place of the inverse; it {(opposite ? "" : "turns the opposite way and ")}"
                    + "is a rotation only nearly."
            ) with
            {
                PeftKey = "use_cayley_neumann",
            },
            AdapterSetting.Whole(Terms, 5, 3, 100, "Terms of that series; 3 and 4 are the same.") with
            {
                PeftKey = "num_cayley_neumann_terms",
            },
        ];

    /// <summary>Whether options of a method with these settings choose the series.</summary>
    public static bool IsSeries(AdapterMethod method, AdapterOptions options) =>
        method.Settings.First(setting => setting.Name == Neumann).Describe(options.Setting(method, Neumann)) == "on";

    /// <summary>
    /// [b, n, n] from trained upper triangles [b, n(n − 1)/2], as the method's settings say; the identity at first.
    /// </summary>
    /// <param name="layer">The layer.</param>
    /// <param name="name">The tensor's name.</param>
    /// <param name="triangles">Its shape.</param>
    /// <param name="n">Order of the rotations.</param>
    /// <param name="setting">What the order comes from, for messages.</param>
    /// <param name="opposite">Whether Cayley's formula turns as the series does.</param>
    /// <param name="longest">Largest Frobenius norm of a skew-symmetric matrix; longer ones are shortened.</param>
    /// <param name="twiceTheLast">Whether the last term of the series counts twice.</param>
    /// <exception cref="InputException">There is nothing to turn, or n is too large for the inverse.</exception>
    public static Expression Trained(
        AdapterBuilder layer,
        string name,
        Shape triangles,
        int n,
        string setting,
        bool opposite = false,
        double? longest = null,
        bool twiceTheLast = false
    )
    {
        bool exact = !layer.IsOn(Neumann);
        CheckOrder(layer, n, setting, exact);
        int rotations = triangles.Rank == 1 ? 1 : triangles[0];
        Expression upper = layer.Trained(name, triangles).Reshape((rotations, n * (n - 1) / 2));
        // The norm of the matrix is √2 times that of its triangle; one that is short enough is divided by the bound
        // and multiplied by it.
        double? bound = longest / Math.Sqrt(2);
        if (bound is { } most)
            upper = upper.ScaleRows(upper.Norm(Broadcast.PerRow, most).Reciprocal()).Scale(most);
        Expression skew = upper.SkewSymmetric(n);
        return exact ? skew.Cayley(opposite) : skew.Neumann((int)layer.Setting(Terms), twiceTheLast);
    }

    /// <summary>Checks that rotations have an order from 2 to what can be inverted.</summary>
    /// <exception cref="InputException">They have not.</exception>
    public static void CheckOrder(AdapterBuilder layer, int n, string setting, bool inverts)
    {
        if (n < 2 || (inverts && n > MatrixInverse.MaxOrder))
        {
            throw new InputException(
                $"{setting} {n} for {layer.Module.Name}, which is [{layer.Out}, {layer.In}]: "
                    + $"{layer.Method.Name} makes rotations, expected 2 or more"
                    + (inverts ? $" and, with Cayley's formula, up to {MatrixInverse.MaxOrder}" : "")
            );
        }
    }
}
