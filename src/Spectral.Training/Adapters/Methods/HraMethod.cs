using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// HRA: the reflections run as one core in the compact WY form, <c>P_1 … P_r = I − U·T·Uᵀ</c> with <c>T⁻¹ = striu(UᵀU)
/// + ½ diag(UᵀU)</c>, which normalises the u_i by itself. Pairs of equal reflections cancel, hence the even rank at the
/// start. With Gram-Schmidt the u_i are orthonormal, and the product is <c>I − 2·Q·Qᵀ</c>.
/// </summary>
internal sealed class HraMethod : AdapterMethod
{
    private const string U = "hra_u";
    private const string GramSchmidt = "gram-schmidt";
    private const double SmallestNorm = 1e-12;

    public override string Name => "hra";
    public override string Formula => "W·P_1·…·P_r, reflections P_i = I − 2·u_i·u_iᵀ/|u_i|²";
    public override string Source => "Yuan et al., 2024, arXiv 2405.17484";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [PeftField.Rank(8), PeftField.Bias("hra_only"), PeftField.Start("init_weights")];
    public override string Use =>
        "Orthogonal fine-tuning at about LoRA's speed: r·in numbers a layer. The weight is read once per step.";

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Switch(
                GramSchmidt,
                false,
                "Orthogonalise each u_i against those before it. The weight is then changed from the start."
            ) with
            {
                PeftKey = "apply_GS",
            },
        ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        if (layer.IsOn(GramSchmidt))
        {
            Expression q = Orthonormal(
                layer.Trained(U, (layer.In, layer.RankWithin(layer.In)), Start.KaimingUniform),
                layer.In,
                rank
            );
            return new AdapterForm { Terms = [new(layer.Weight.MatMul(q), q.Transpose(), -2)] };
        }
        if (rank > MatrixInverse.MaxOrder)
        {
            throw new InputException(
                $"rank {rank} for {layer.Module.Name}: hra inverts a matrix of this order, "
                    + $"expected up to {MatrixInverse.MaxOrder}"
            );
        }

        Factor u = layer.Trained(U, (layer.In, rank), Start.KaimingUniform);
        Expression t = u.MatMul(u, transposeA: true).UpperTriangle(0.5).Inverse();
        return new AdapterForm { Terms = [new(layer.Weight.MatMul(u).MatMul(t), u.Transpose(), -1)] };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            if (start.Options.Setting(this, GramSchmidt) != 0)
                continue;
            if (start.Options.Rank % 2 != 0)
            {
                throw new InputException(
                    $"rank {start.Options.Rank} for {start.Module.Name}: hra starts from pairs of "
                        + "equal reflections, expected an even rank"
                );
            }

            float[] u = start[U].ToArray();
            for (int i = 0; i < u.Length; i += 2)
                u[i + 1] = u[i];
            start[U].CopyFrom(u);
        }
    }

    /// <summary>
    /// Returns Q [n, r], the columns of U orthonormalised one by one by Gram-Schmidt. A Gram matrix would lose all
    /// digits, because pairs of columns are nearly equal.
    /// </summary>
    private static Expression Orthonormal(Expression u, int n, int rank)
    {
        Expression? q = null;
        for (int i = 0; i < rank; i++)
        {
            Expression column = u.Block(0, i, n, 1);
            // The second pass removes what rounding left in the first.
            for (int pass = 0; q is not null && pass < 2; pass++)
                column = column.Add(q.MatMul(q.MatMul(column, transposeA: true)), 1, -1);
            column = column.Multiply(column.Norm(Broadcast.Single, SmallestNorm).Reciprocal(), Broadcast.Single);
            q = q is null ? column : ExpressionOperations.ConcatColumns(q, column);
        }
        return q!;
    }
}
